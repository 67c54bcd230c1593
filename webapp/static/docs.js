// Starts Swagger UI, which its own bundle has put on the window.
const place = document.getElementById("swagger-ui");

// It gives its list of servers no name that a screen reader could say.
function nameWhatHasNoName() {
  document.getElementById("servers")?.setAttribute("aria-label", "Server");
}

// No deep links: they stand inside of buttons, where no keyboard reaches them.
window.SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  docExpansion: "list",
  onComplete: nameWhatHasNoName,
});
