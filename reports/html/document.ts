/**
 * A page as one file: nothing is fetched, so it opens from a disk, out of a mail, and in ten years.
 *
 * Without scripts, and on paper, it is the story as text; with scripts the story makes room for what can be looked
 * around in. What comes from outside (titles, names) is only ever text or JSON here.
 */

/** What every page of a kind has in common: made when the program is built. */
export interface Assets {
  readonly script: string;
  readonly style: string;
  /** Of the libraries in the script: they ask to be named in every copy. */
  readonly licenses: string;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
export const escaped = (text: string): string => text.replace(/[&<>"']/g, (letter) => ESCAPES[letter] ?? letter);
/** JSON that may stand inside a script element. */
const json = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

/** No request of any kind leaves the page. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** @param body HTML: the page without scripts */
export const page = (title: string, style: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>
`;

/** One finding. @param story the same as text, a hundred columns wide */
export function findingPage<F extends { readonly design: string; readonly title: string }>(
  finding: F,
  story: string,
  { script, style, licenses }: Assets,
): string {
  const body = `<div id="app"></div>
<main id="paper"><pre>${escaped(story)}</pre></main>
<script type="application/json" id="finding">${json(finding)}</script>
<script>/*!
${licenses.replaceAll('*/', '* /')}*/
${script}</script>`;
  return page(`${finding.design}: ${finding.title}`, style, body);
}
