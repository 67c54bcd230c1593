// Tells the studio the time zone of this browser, so that times of a schedule are written and shown in it. What the
// author has chosen in the form is a cookie that no script can change.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const path = location.pathname.replace(/\/studio(\/.*)?$/, "/studio");
const secure = location.protocol === "https:" ? "; Secure" : "";
document.cookie = `time_zone=${zone}; Path=${path}; Max-Age=31536000; SameSite=Lax${secure}`;

// Where the page was made before that was known, and shows no time yet, the field can be set now.
const select = document.querySelector("select[name=time_zone][data-known=no]");
if (select) {
  const form = select.form;
  const isEmpty = ["opens_at", "closes_at"].every((name) => form.elements[name].value === "");
  if (isEmpty && [...select.options].some((option) => option.value === zone)) {
    select.value = zone;
  }
}
