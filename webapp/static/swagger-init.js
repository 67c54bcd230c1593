// Starts Swagger UI, which its own bundle has put on the window.
const container = document.getElementById("swagger-ui");

// Swagger UI gives its list of servers no accessible name.
function labelServerList() {
  document.getElementById("servers")?.setAttribute("aria-label", "Server");
}

// No deep links: they stand inside of buttons, where no keyboard reaches them.
window.SwaggerUIBundle({
  url: container.dataset.document,
  domNode: container,
  docExpansion: "list",
  onComplete: labelServerList,
});
