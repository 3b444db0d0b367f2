// Mantine in the colours of wardlight.css, whose semantic names are what components use.
import { createTheme, type CSSVariablesResolver, localStorageColorSchemeManager, type MantineColorsTuple, rem } from "@mantine/core";

const NAMES = ["gray", "dark", "petrol", "rose", "violet", "green", "slate", "lamp", "orange", "red"] as const;

function tuple(name: string): MantineColorsTuple {
  return Array.from({ length: 10 }, (_, shade) => `var(--${name}-${shade})`) as unknown as MantineColorsTuple;
}

export const theme = createTheme({
  primaryColor: "petrol",
  primaryShade: { light: 7, dark: 5 },
  defaultRadius: "md",
  cursorType: "pointer",
  colors: Object.fromEntries(NAMES.map((name) => [name, tuple(name)])),
  fontFamily: "Inter, system-ui, sans-serif",
  fontFamilyMonospace: "JetBrains Mono, monospace",
  fontSizes: { xs: rem(12), sm: rem(13), md: rem(14), lg: rem(16), xl: rem(20) },
  spacing: { xs: rem(4), sm: rem(8), md: rem(12), lg: rem(16), xl: rem(24) },
  radius: { sm: rem(4), md: rem(6), lg: rem(10), xl: rem(14) },
  headings: {
    fontWeight: "600",
    sizes: { h1: { fontSize: rem(20) }, h2: { fontSize: rem(14) }, h3: { fontSize: rem(13) } },
  },
  components: { Button: { defaultProps: { size: "sm" } }, Table: { defaultProps: { highlightOnHover: true } } },
});

const SEMANTIC = {
  "--mantine-primary-color-filled": "var(--accent)",
  "--mantine-primary-color-filled-hover": "var(--accent-hover)",
  "--mantine-color-body": "var(--surface)",
  "--mantine-color-text": "var(--text)",
  "--mantine-color-dimmed": "var(--text-2)",
  "--mantine-color-default-border": "var(--border-strong)",
  "--mantine-color-anchor": "var(--accent-text)",
};

export const resolver: CSSVariablesResolver = () => ({ variables: {}, light: SEMANTIC, dark: SEMANTIC });

/** The scheme is all that the portal keeps in the browser. */
export const colourScheme = localStorageColorSchemeManager({ key: "wardlight-scheme" });
