// Sends the link's token and the chosen password to the API, and says what became of it.
(() => {
  "use strict";
  const token = new URLSearchParams(window.location.search).get("token");
  // The token leaves the address bar, and with it the history and what is copied from there.
  window.history.replaceState(null, "", window.location.pathname);

  const form = document.getElementById("form");
  const outcome = document.getElementById("outcome");
  const say = (text) => void (outcome.textContent = text);
  const mutation = `mutation SetPassword($input: SetPasswordInput!) {
    setPassword(input: $input) { userErrors { code message remedy } }
  }`;

  if (!token) {
    form.hidden = true;
    say("This address lacks its token. Open the whole link that you were given.");
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const password = form.querySelector("#password").value;
    if (password !== form.querySelector("#repeated").value) return say("The two passwords differ.");
    say("Setting your password …");
    try {
      const answer = await fetch("/graphql", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ query: mutation, variables: { input: { token, password } } }),
      });
      const { data, errors } = await answer.json();
      const refusals = errors ?? data.setPassword.userErrors;
      if (refusals.length > 0) return say(refusals.map(({ message, remedy }) => [message, remedy].filter(Boolean).join(" ")).join(" "));
      form.hidden = true;
      document.getElementById("onward").hidden = false;
      say("Your password is set. You can sign in with it now.");
    } catch {
      say("The server did not answer. Your password may not have been set; try again.");
    }
  });
})();
