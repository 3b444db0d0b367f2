// The verifier of audit bundles, for browsers and Node: WebCrypto only, no dependency.

export { FormatError } from "./bytes.ts";
export { parseTrust, UsageError, type Trust } from "./trust.ts";
export { EXIT, type Verdict, type VerdictName } from "./verdict.ts";
export { verify, type Options } from "./verifier.ts";
