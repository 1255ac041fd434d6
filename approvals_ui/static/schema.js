// Swagger UI over our own document; it comes from a Python package, so nothing is fetched from elsewhere. That release
// reads OpenAPI 3.0 only: what ours has beyond it (null as a type) it shows well enough, once it is told 3.0.
const place = document.getElementById("reference");
const response = await fetch(place.dataset.document);
const spec = { ...(await response.json()), openapi: "3.0.3" };
window.SwaggerUIBundle({ spec, domNode: place, deepLinking: true, validatorUrl: null });
