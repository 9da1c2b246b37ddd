// The form by which a caller signs in, and what it says of who has.
import { Refused } from "./session.js";

const form = document.getElementById("sign-in");
const standing = document.getElementById("standing");
const signedIn = document.getElementById("signed-in");
const next = document.getElementById("next_token");
const renewal = document.getElementById("renew");

/** Lets the form sign this session in; `taken` is called whenever it has another token. */
export function showSignIn(session, taken) {
  let copied = "";
  // The next refresh token of an API key is in this page only, until it is copied.
  const untold = () => session.kind === "refresh" && next.value !== copied;

  function show() {
    const until = session.expires ? ` until ${session.expires.toLocaleTimeString()}` : "";
    const scopes = session.scope ? `, for ${session.scope}` : "";
    standing.textContent = `Signed in${until}${scopes}.`;
    next.value = session.refreshToken ?? "";
    next.parentElement.hidden = session.kind !== "refresh";
    renewal.hidden = !session.refreshToken;
    form.hidden = true;
    signedIn.hidden = false;
    taken();
  }

  async function attempt(step) {
    standing.textContent = "…";
    try {
      await step();
      form.reset();
      show();
    } catch (error) {
      standing.textContent = error instanceof Refused ? error.message : `No answer: ${error.message}`;
    }
    standing.focus();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    attempt(() => session.signIn(given.kind, given));
  });
  renewal.addEventListener("click", () => attempt(() => session.renew()));
  document.getElementById("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(next.value);
    copied = next.value;
  });
  // All that this page knows is in its memory, so a new page knows nothing.
  document.getElementById("sign-out").addEventListener("click", () => location.reload());
  addEventListener("beforeunload", (event) => untold() && event.preventDefault());

  form.elements.kind.addEventListener("change", showFields);
  showFields();
  form.querySelector("button").disabled = false;
}

/** Shows the fields of the kind that is chosen; the others are neither required nor sent. */
function showFields() {
  const kind = form.elements.kind.value;
  for (const one of form.querySelectorAll("[data-kinds]")) {
    one.hidden = !one.dataset.kinds.split(" ").includes(kind);
    if ("disabled" in one) one.disabled = one.hidden;
  }
  if (!crypto.subtle) form.elements.bound.disabled = true; // no proofs but over https
}
