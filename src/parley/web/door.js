"use strict";
// The token stands behind the # of a mail's link: a browser sends that to no server, so it is in no log.
const token = location.hash.slice(1);
const told = document.getElementById("told");
const form = document.getElementById(location.pathname === "/invite" ? "invite" : token ? "reset" : "ask");
const done = {
  invite: (reply) => `You belong to ${reply.organization.name} now.`,
  reset: () => "The password is set, and whoever was logged in with the old one is not any more.",
  ask: () => "If the address has an account, a mail is on its way to it.",
};
if (form.id === "invite" && !token) {
  told.textContent = "This link is not whole. Open it as it stands in the mail.";
} else {
  form.hidden = false;
}
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  if (form.id !== "ask") {
    body.token = token;
  }
  try {
    const reply = await fetch(form.dataset.to, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await reply.json();
    told.textContent = reply.ok ? done[form.id](said) : said.error.message;
    form.hidden = reply.ok;
  } catch {
    told.textContent = "The server did not answer. Try again.";
  }
});
