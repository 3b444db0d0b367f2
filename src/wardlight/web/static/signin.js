// Adds to the sign-in page what a form cannot do: passkeys, following an invitation, adding a second factor.
"use strict";

const byId = (id) => document.getElementById(id);
const form = byId("signin");
const institution = byId("institution");
const link = byId("link");
const add = byId("add");
const told = byId("told");
const passkeys = Boolean(window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON);

let csrf = document.querySelector("main").dataset.limited;

const post = async (path, body) => {
  const answer = await fetch(`/api/v1/session/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(csrf ? { "X-CSRF": csrf } : {}) },
    body: JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.detail || value.title);
  if (value.csrf) csrf = value.csrf;
  return value;
};

const attempt = (work) => async (event) => {
  event.preventDefault();
  told.textContent = "";
  try {
    await work();
  } catch (error) {
    told.textContent = error.message;
  }
};

const goOn = () => location.assign(form.elements.return.value || "/signin");

const only = (shown) => {
  for (const one of [form, link, add]) one.hidden = one !== shown;
  institution.hidden = shown !== form;
  byId("passkey").hidden = shown !== form || !passkeys;
};

const signInByPasskey = async () => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await post("passkey-options", {}));
  const passkey = await navigator.credentials.get({ publicKey });
  await post("passkey", { passkey: passkey.toJSON() });
  goOn();
};

const addPasskey = async () => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await post("factors/passkey-options", {}));
  const passkey = await navigator.credentials.create({ publicKey });
  added(await post("factors/passkey", { name: "passkey", passkey: passkey.toJSON() }));
};

const showAdd = async () => {
  only(add);
  byId("add-passkey").hidden = !passkeys;
  byId("secret").textContent = (await post("factors/totp", { name: "authenticator" })).secret;
};

const added = (session) => {
  only(null);
  const codes = session.recovery_codes || [];
  told.textContent = "You are signed in. Keep these recovery codes; each is good once:";
  for (const code of codes) {
    const line = document.createElement("code");
    line.textContent = code;
    told.append(document.createElement("br"), line);
  }
};

const follow = async (token) => {
  const session = await post("link", { token, password: link.elements.new.value });
  if (session.limited) {
    await showAdd();
  } else {
    only(form);
    told.textContent = "The password is set. Sign in with it.";
  }
};

byId("passkey").hidden = !passkeys;
byId("passkey").addEventListener("click", attempt(signInByPasskey));
byId("add-passkey").addEventListener("click", attempt(addPasskey));
add.addEventListener("submit", attempt(async () => {
  added(await post("factors/totp/confirm", { code: add.elements.code.value }));
}));

// The token stands behind the `#`, which is never sent with a request for the page.
const token = new URLSearchParams(location.hash.slice(1)).get("link");
if (token) {
  history.replaceState(null, "", location.pathname);
  only(link);
  link.addEventListener("submit", attempt(() => follow(token)));
} else if (csrf) {
  showAdd().catch((error) => { told.textContent = error.message; });
}
