
// Asks, as the user who signs in here, where the profile of the link is, and goes there. The answer
// is the only place that this page ever leads to: nothing in the link says where.
const KEPT = "headrace-redirect";
const SCHEME = "https:";
const ADVICE = {
  link: "The link must name the tenant (tenantId) and the profile (syncId), once each and nothing else. Tell the vendor of the system that the link is in.",
  insufficient_scope: "Your role does not let you read profiles. Your operator can give it the permission “read profiles”.",
  forbidden: "Ask your operator.",
  not_an_integrator: "Your role may not sign in here. Ask your operator.",
  login_failed: "Look at what you entered, and try again.",
  too_many_tries: "Wait a while, and then try again.",
  tenant_not_allowed: "Check the tenantId of the link. If it is right, you are signed in for another tenant.",
  wrong_region: "The tenant's profiles are kept in another region.",
  no_profile_page: "The tenant's hub has no page for profiles that your operator would know of.",
  not_found: "Check the syncId of the link. If it is right, the profile was not sent here yet, its link was removed, or it is in none of the groups that you see.",
};
const OTHERWISE = "Try again in a moment. If it fails again, tell your operator.";

const byId = (id) => document.getElementById(id);
const form = byId("sign-in");
const base = location.origin + location.pathname.replace(/\/redirect\/?$/, "");
const query = new URLSearchParams(location.search);

class Refused extends Error {
  constructor(said, correlationId) {
    super(said.title ?? "No answer");
    this.code = said.code;
    this.baseUrl = said.baseUrl;
    this.correlationId = correlationId;
  }
}

/** What the link names. Throws Refused. */
function named() {
  const names = [...query.keys()].sort().join();
  const link = { tenantId: query.get("tenantId"), syncId: query.get("syncId") };
  if (names === "syncId,tenantId" && link.tenantId && link.syncId) return link;
  throw new Refused({ code: "link", title: "The link is incomplete" });
}

/** What a reply says. Throws Refused, with what the problem document says. */
async function answered(path, request) {
  const reply = await fetch(base + path, { ...request, cache: "no-store", redirect: "error" });
  const said = await reply.json().catch(() => ({}));
  if (reply.ok) return said;
  throw new Refused(said, reply.headers.get("X-Correlation-Id"));
}

async function signIn({ username, password, keep }) {
  const got = await answered("/api/ver3/auth/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username, password }),
  });
  const until = Date.now() + (got.expires_in - 30) * 1000;
  // Of the tab, and gone with it; the refresh token is kept nowhere.
  if (keep) sessionStorage.setItem(KEPT, JSON.stringify({ token: got.access_token, until }));
  return got.access_token;
}

function kept() {
  const found = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (found && found.until > Date.now()) return found.token;
  sessionStorage.removeItem(KEPT);
  return null;
}

/** Leaves for the profile, and leaves this page out of what the browser goes back to. */
async function go(token) {
  const headers = { Authorization: `Bearer ${token}` };
  const { url } = await answered(`/redirect/target?${new URLSearchParams(named())}`, { headers });
  const target = new URL(url);
  if (target.protocol !== SCHEME) throw new Refused({ title: "The profile's address is wrong" });
  say("Opening the profile …");
  location.replace(target.href);
}

function say(text) {
  byId("standing").textContent = text;
}

function ask() {
  say("Sign in to open the profile.");
  form.hidden = false;
  byId("failure").hidden = true;
  byId("username").focus();
}

function fail(error) {
  const refused = error instanceof Refused ? error : new Refused({ title: "The service does not answer" });
  document.title = byId("title").textContent = "Failed to load profile";
  say(`${refused.message}.`);
  const advice = ADVICE[refused.code] ?? OTHERWISE;
  const reference = refused.correlationId ? ` (Reference for your operator: ${refused.correlationId})` : "";
  byId("advice").textContent = advice + reference;
  byId("failure").hidden = false;
  byId("elsewhere").hidden = refused.code !== "wrong_region" || !refused.baseUrl;
  if (refused.baseUrl) byId("elsewhere").firstElementChild.href = there(refused.baseUrl);
  byId("again").hidden = refused.code === "link";
  byId("sign-out").hidden = !kept();
  form.hidden = refused.code !== "login_failed";
  byId("standing").focus();
}

/** This page, of the deployment that the API named. */
function there(baseUrl) {
  const page = new URL(`${baseUrl}/redirect`);
  page.search = new URLSearchParams(named());
  return page.href;
}

async function attempt(step) {
  const button = form.querySelector("button");
  button.disabled = true;
  say("…");
  try {
    await go(await step());
  } catch (error) {
    if (error.code !== "invalid_token") return fail(error);
    sessionStorage.removeItem(KEPT); // it is over
    ask();
  } finally {
    form.elements.password.value = "";
    button.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = Object.fromEntries(new FormData(form));
  attempt(() => signIn(given));
});
byId("again").addEventListener("click", begin);
byId("sign-out").addEventListener("click", () => {
  sessionStorage.removeItem(KEPT);
  begin();
});

function begin() {
  document.title = byId("title").textContent = "To the profile";
  try {
    named();
  } catch (error) {
    return fail(error);
  }
  const token = kept();
  return token ? attempt(() => token) : ask();
}

begin();
