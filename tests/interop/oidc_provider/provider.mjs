// An institution's OpenID provider (npm oidc-provider) on loopback. argv: JSON {port, redirect_uri, client_secret, jwks, own}.
// Prints its issuer when it listens; ends when its standard input does.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const given = JSON.parse(process.argv[2]);
const server = createServer((request, response) => handle(request, response));
let handle;

server.listen(given.port, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const common = { redirect_uris: [given.redirect_uri], grant_types: ["authorization_code"], response_types: ["code"] };
  const provider = new Provider(issuer, {
    clients: [
      { client_id: "by-secret", client_secret: given.client_secret, ...common },
      { client_id: "by-key", token_endpoint_auth_method: "private_key_jwt", jwks: given.jwks, ...common,
        token_endpoint_auth_signing_alg: "ES256" },
      { client_id: "by-ec", client_secret: given.client_secret, id_token_signed_response_alg: "ES256", ...common },
    ],
    jwks: given.own,
    claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    enabledJWA: { clientAuthSigningAlgValues: ["ES256"], idTokenSigningAlgValues: ["RS256", "ES256"] },
    pkce: { required: () => true },
    findAccount: (context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: `${id}@stmary.example`, name: `Dr. ${id}`, groups: ["staff"] }),
    }),
    features: { devInteractions: { enabled: true } },
  });
  handle = provider.callback();
  console.log(issuer);
});
process.stdin.on("end", () => process.exit(0)).resume();
