// A partner's web application (npm openid-client). argv: JSON {issuer, client_id, redirect_uri, key}.
// Prints where to send the browser, reads where it came back to, prints what it learnt.
import * as client from "openid-client";
import { createInterface } from "node:readline/promises";

const given = JSON.parse(process.argv[2]);
const key = await crypto.subtle.importKey("jwk", given.key, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
const config = await client.discovery(
  new URL(given.issuer), given.client_id, {}, client.PrivateKeyJwt({ key, kid: given.key.kid }),
  { execute: [client.allowInsecureRequests] },
);

const verifier = client.randomPKCECodeVerifier();
const [state, nonce] = [client.randomState(), client.randomNonce()];
const begin = client.buildAuthorizationUrl(config, {
  redirect_uri: given.redirect_uri, scope: "openid profile images.read", state, nonce,
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
});
console.log(begin.href);

const lines = createInterface({ input: process.stdin });
const [back] = [(await lines[Symbol.asyncIterator]().next()).value];
const tokens = await client.authorizationCodeGrant(config, new URL(back), {
  pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true, maxAge: 3600,
});
const claims = tokens.claims();
const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
const later = await client.refreshTokenGrant(config, tokens.refresh_token);
const said = await client.tokenIntrospection(config, later.access_token);
const bye = client.buildEndSessionUrl(config, { id_token_hint: later.id_token });
console.log(JSON.stringify({ claims, user, refreshed: later.claims().sub, said, bye: bye.href }));
process.exit(0);
