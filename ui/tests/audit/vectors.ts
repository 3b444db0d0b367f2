// The test vectors of the format: docs/reference/audit-bundle.md. Made by a Python prototype.

export const ORIGIN = "wardlight.example/audit/stmary/1";
export const LOG_VKEY = "wardlight.example/audit/stmary/1+5e0a1198+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
export const WITNESS_VKEY = "receiver.stmary.example/w1+0742bf15+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";

export const ENTRIES = [
  String.raw`{"action":"audit:log:start","actor":{"id":"sealer","kind":"system"},"detail":{"vkey":"wardlight.example/audit/stmary/1+5e0a1198+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"},"id":"0198c0de-0000-7000-8000-000000000000","log":"wardlight.example/audit/stmary/1","node":"web-1","outcome":"success","recorded":"2026-11-24T08:00:00.000Z","salt":"OXO3IPXNqiuEjMJvOv1Xyw","source":"platform","v":1}`,
  String.raw`{"action":"identity:session:login","actor":{"id":"u-7f3a","kind":"person","role":"clinician"},"detail":{"factor":"passkey"},"id":"0198c0de-0000-7000-8000-000000000001","log":"wardlight.example/audit/stmary/1","network":{"address":"192.0.2.17"},"node":"web-1","outcome":"success","recorded":"2026-11-24T08:00:01.250Z","request":"4bf92f3577b34da6a3ce929d0e0e4736","salt":"MmG0qPvlS0fAEJscxxqctQ","source":"platform","v":1}`,
  String.raw`{"action":"dicomweb:study:read","actor":{"id":"u-7f3a","kind":"person","role":"clinician"},"agreement":{"id":"agr-12","version":3},"basis":"gdpr:6.1.c+9.2.h","behalf":{"id":"acme_ai_prod","kind":"application"},"classes":["image:pseudonymised"],"grant":"gr-881","id":"0198c0de-0000-7000-8000-000000000002","log":"wardlight.example/audit/stmary/1","network":{"address":"192.0.2.17"},"node":"web-1","object":{"kind":"study","ref":"s1.m3yFZR_RhIVA69nuhWTP9w"},"outcome":"success","phase":"authorised","purpose":"TREAT","recorded":"2026-11-24T08:00:02.500Z","request":"00f067aa0ba902b7a3ce929d0e0e4736","salt":"w6aoUw27R4-3CmyoxyY6lA","source":"platform","subjects":[{"patient":"p1.RAhcAkm4Im2hUgQwW0-XcA","study":"s1.m3yFZR_RhIVA69nuhWTP9w"}],"v":1}`,
  String.raw`{"action":"dicomweb:study:read","actor":{"id":"u-7f3a","kind":"person","role":"clinician"},"behalf":{"id":"acme_ai_prod","kind":"application"},"counts":{"bytes":262144000,"frames":500,"instances":500,"requests":500},"grant":"gr-881","id":"0198c0de-0000-7000-8000-000000000003","log":"wardlight.example/audit/stmary/1","network":{"address":"192.0.2.17"},"node":"web-1","object":{"kind":"study","ref":"s1.m3yFZR_RhIVA69nuhWTP9w"},"of":"0198c0de-0000-7000-8000-000000000002","outcome":"success","phase":"finished","purpose":"TREAT","recorded":"2026-11-24T08:03:02.500Z","salt":"3zMnocy5hmnT9rn2ATWzxw","source":"platform","subjects":[{"patient":"p1.RAhcAkm4Im2hUgQwW0-XcA","study":"s1.m3yFZR_RhIVA69nuhWTP9w"}],"v":1}`,
  String.raw`{"action":"receiver:route:change","actor":{"id":"u-11c0","kind":"person","role":"administrator"},"change":[{"after":"médium","before":"high","path":"level"}],"id":"0198c0de-0000-7000-8000-000000000004","log":"wardlight.example/audit/stmary/1","network":{"address":"2001:db8::5"},"node":"web-1","object":{"id":"rt-3","kind":"route","version":2},"outcome":"success","recorded":"2026-11-24T08:05:00.000Z","salt":"-U8K1FAjs9UaS-Pwk9HkoQ","source":"platform","v":1}`,
];

export const LEAVES = [
  "ICyLqEdzi/MVMXjZ/gVmdSqzDR519pue8Pf8WSEvZMI=",
  "KRvrB+U2BaQrYhpWoXJPqFSIogcxhn56p/le/HJ4xBE=",
  "vuKrn6f1Lr0Us/bQORtFhlGIFCO7AmoUqunJiQDZrh4=",
  "pozZJ7j07crp7tN2/XsiUTqupRgA1SHV/bl2Y2/DDqE=",
  "YR/S3kOgLIbd3t1HqOHHaMaiGXfho/kcmoYRIaphLy0=",
];

export const ROOTS = [
  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  "ICyLqEdzi/MVMXjZ/gVmdSqzDR519pue8Pf8WSEvZMI=",
  "/xEFX1sE4m6+v1OCMXMj7Lu76hX4GF9SGaTd8wnIpEY=",
  "yv5hfQPaWlt/fvPwbWwizcHJwYIHJVs4NutzJDmxN5g=",
  "+g3Ow7xzT/WF50BsBTp7KQfTzD+q1jiLe3C7jSZIZNI=",
  "ibffeJnVoW8PlMeh27XFw3T0tXVrqgxbF7zzBUU0kGk=",
];

export const INCLUSION_2_IN_5 = [
  "pozZJ7j07crp7tN2/XsiUTqupRgA1SHV/bl2Y2/DDqE=",
  "/xEFX1sE4m6+v1OCMXMj7Lu76hX4GF9SGaTd8wnIpEY=",
  "YR/S3kOgLIbd3t1HqOHHaMaiGXfho/kcmoYRIaphLy0=",
];

export const CONSISTENCY_3_TO_5 = [
  "vuKrn6f1Lr0Us/bQORtFhlGIFCO7AmoUqunJiQDZrh4=",
  "pozZJ7j07crp7tN2/XsiUTqupRgA1SHV/bl2Y2/DDqE=",
  "/xEFX1sE4m6+v1OCMXMj7Lu76hX4GF9SGaTd8wnIpEY=",
  "YR/S3kOgLIbd3t1HqOHHaMaiGXfho/kcmoYRIaphLy0=",
];

export const CHECKPOINT_5 = `wardlight.example/audit/stmary/1
5
ibffeJnVoW8PlMeh27XFw3T0tXVrqgxbF7zzBUU0kGk=

— wardlight.example/audit/stmary/1 XgoRmGK33zzj0pmCXj9R3IenkZJYSGk7Jo7smnpQfeB3Fi2tURqvwDe7OX9feEWfCM2GOdhogkPNeonBSV4Xu/EpZgA=
— receiver.stmary.example/w1 B0K/FQAAAABrBUVowrFXd5iNFm3fcayxVeCM1XHw7mBLY+mJIT9sxxbnS+dMXcRGz7gSGS8LGz81FH93kqluG57T2zDpTmvTQVuWBw==
`;

export const CHECKPOINT_3 = `wardlight.example/audit/stmary/1
3
yv5hfQPaWlt/fvPwbWwizcHJwYIHJVs4NutzJDmxN5g=

— wardlight.example/audit/stmary/1 XgoRmBcB6wrSGHtb33Aa1WuqPddlVXb9rDOoK/umvOx8ZJa7o+3kAQnqwuIrtMr/WvIElOCBpi+XRa0CkiyK/yV8wws=
`;
