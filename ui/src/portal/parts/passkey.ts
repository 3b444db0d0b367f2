// Passkeys as the browser knows them: options come from the server as JSON, answers go back as JSON.
/** Whether this browser can use passkeys at all. */
export const PASSKEYS = typeof PublicKeyCredential !== "undefined" && "parseRequestOptionsFromJSON" in PublicKeyCredential;

/** Asks for a passkey. Throws where the person turns away. */
export async function askPasskey(options: unknown): Promise<Record<string, never>> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as PublicKeyCredentialRequestOptionsJSON);
  return answerOf(await navigator.credentials.get({ publicKey }));
}

/** Makes a passkey. */
export async function makePasskey(options: unknown): Promise<Record<string, never>> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON);
  return answerOf(await navigator.credentials.create({ publicKey }));
}

function answerOf(credential: Credential | null): Record<string, never> {
  if (!(credential instanceof PublicKeyCredential)) throw new Error("no passkey was given");
  return credential.toJSON() as Record<string, never>;
}
