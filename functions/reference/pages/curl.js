// Swagger UI's curl line, with placeholders for what is secret, unless the reader asks for it.

/** Members of requests' bodies that are secret; a test holds them against the description. */
const MEMBERS = "client_secret|client_assertion|password|refresh_token|refreshToken|token";
const IN_JSON = new RegExp(`"(${MEMBERS})"(\\s*:\\s*)"(?:[^"\\\\]|\\\\.)*"?`, "g");
const IN_FORM = new RegExp(`(^|&)(${MEMBERS})=[^&]+`, "g");
const IN_PATH = /(\/credentials\/)[^/?#]+/;
const IN_AUTHORIZATION = /^(\w+) (?!client-certificate)[^;]+/;

const LABEL = { className: "with-secrets" };

/** A Swagger UI plugin. */
export function curl({ React }) {
  const { createElement, useState } = React;

  function wrapped(Curl) {
    return function CurlWithoutSecrets(props) {
      const [shown, show] = useState(false);
      const request = shown ? props.request : withoutSecrets(props.request);
      const box = { type: "checkbox", checked: shown, onChange: () => show(!shown) };
      return createElement(
        "div",
        null,
        createElement(Curl, { ...props, request }),
        createElement("label", LABEL, createElement("input", box), " with secrets"),
      );
    };
  }
  return { wrapComponents: { curl: wrapped } };
}

/** The request (an Immutable.Map) with placeholders. */
function withoutSecrets(request) {
  return request
    .update("url", (url) => url.replace(IN_PATH, "$1TOKEN"))
    .update("headers", (headers) => headers.map(headerWithoutSecret))
    .update("body", (body) => (typeof body === "string" ? bodyWithoutSecrets(body) : body));
}

function headerWithoutSecret(value, name) {
  if (/^authorization$/i.test(name)) return value.replace(IN_AUTHORIZATION, "$1 ACCESS_TOKEN");
  return /^dpop$/i.test(name) ? "DPOP_PROOF" : value;
}

function bodyWithoutSecrets(text) {
  return text
    .replace(IN_JSON, (_, name, colon) => `"${name}"${colon}"${placeholder(name)}"`)
    .replace(IN_FORM, (_, before, name) => `${before}${name}=${placeholder(name)}`);
}

function placeholder(name) {
  return name.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase();
}
