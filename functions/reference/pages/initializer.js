// Starts Swagger UI on the description that lies beside the page, wherever the API is.
"use strict";

const description = new URL("../openapi.json", document.currentScript.src).href;

window.ui = SwaggerUIBundle({
  url: description,
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // no other host learns of the description
});
