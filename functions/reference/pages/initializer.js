// Starts Swagger UI on the description that lies beside the page, and lets its calls go out with
// what the sign-in above it got.
import { curl } from "./curl.js";
import { base, load, redirecting, tried } from "./description.js";
import { Session } from "./session.js";
import { showSignIn } from "./sign_in.js";

const CERTIFICATE = ["--cert", "client_certificate.pem", "--key", "client_certificate.key"];

const description = await load();
const session = new Session(base, description.servers[0].url);
const redirects = redirecting(description);
const organisation = document.getElementById("organisation");

async function prepared(request) {
  if (/urlencoded/.test(request.headers["Content-Type"])) request.body = filled(request.body);
  const proven = await session.proven(request, organisation.value.trim());
  proven.curlOptions = [
    ...(redirects(request.url) ? ["--location"] : []),
    ...(session.kind === "certificate" ? CERTIFICATE : []),
  ];
  return Object.assign(proven, { redirect: "manual", userFetch: called });
}

/** A form without the fields that are empty: they count as left out (RFC 6749 section 3.2). */
function filled(body) {
  const fields = [...new URLSearchParams(body)];
  return new URLSearchParams(fields.filter(([, value]) => value)).toString();
}

async function called(url, request) {
  const reply = await session.fetch(url, request);
  if (reply.type !== "opaqueredirect") return reply;
  const said = "A redirect, which a page cannot follow to another host. The curl line does.";
  return new Response(said, { status: 303, headers: { "Content-Type": "text/plain" } });
}

/** Signing in is ours: locks show whether a call has a token, and lead to the form. */
function signIn({ React }) {
  const toForm = () => document.getElementById("caller").scrollIntoView();
  return {
    wrapComponents: {
      AuthorizeBtnContainer: () => () => null,
      authorizeOperationBtn: (Lock) => (props) =>
        React.createElement(Lock, { ...props, onClick: toForm }),
    },
  };
}

const ui = SwaggerUIBundle({
  spec: tried(description),
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [curl, signIn],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor: prepared,
  validatorUrl: null, // no other host learns of the description
});

const [[name, schema]] = Object.entries(description.components.securitySchemes);
showSignIn(session, () =>
  ui.authActions.authorizeOauth2({
    auth: { name, schema },
    token: { access_token: session.token, token_type: session.scheme },
  }),
);
