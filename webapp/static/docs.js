// Starts Swagger UI, which its own bundle has put on the window.
const place = document.getElementById("swagger-ui");
window.SwaggerUIBundle({ url: place.dataset.document, domNode: place, deepLinking: true, docExpansion: "list" });
