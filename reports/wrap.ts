/**
 * Lines no longer than a width. Kernel code is broken where a kernel developer would: after a comma or an opening
 * parenthesis, before an arrow; a name is cut only when it is longer than the line.
 */

/** Columns that a text takes; the reports use no wide characters. */
export const columns = (text: string): number => Array.from(text).length;
export const padded = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - columns(text)));

/** Signs of ours, as ASCII has them. */
const IN_ASCII: Readonly<Record<string, string>> = {
  '→': '->',
  '←': '<-',
  '…': '...',
  '·': '*',
  '✓': '+',
  '✗': 'x',
  '›': '>',
  '×': 'x',
  '─': '-',
  '│': '|',
  '┼': '+',
  '–': '-',
  '—': '-',
  '‘': "'",
  '’': "'",
  '“': '"',
  '”': '"',
  '≥': '>=',
  '≤': '<=',
};
/** The text in plain ASCII: letters lose their accents, and what has no likeness becomes a question mark. */
export const ascii = (text: string): string =>
  text
    .replace(/[^\0-\u007F]/gu, (sign) => IN_ASCII[sign] ?? sign)
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[^\0-\u007F]/gu, '?');

/** Where a word that is too long may be cut, best at the end of the line; the word itself when nowhere. */
function cut(word: string, room: number): [string, string] {
  const letters = Array.from(word);
  const head = letters.slice(0, room).join('');
  const best = (breaks: RegExp): number =>
    [...head.matchAll(breaks)]
      .map((each) => each.index + each[0].length)
      .filter((at) => at >= room / 2)
      .at(-1) ?? 0;
  const at = best(/[(,/=](?=.)/gu) || best(/[_.-](?=[^>])|.(?=->)/gu) || head.length;
  return [word.slice(0, at), word.slice(at)];
}

/**
 * Break a text into lines of at most `width` columns.
 * @param hanging put before every line but the first
 */
export function wrap(text: string, width: number, hanging = ''): string[] {
  const indent = columns(hanging) < width ? hanging : '';
  const done: string[] = [];
  let line = '';
  let empty = true;
  const next = (): void => {
    done.push(line.trimEnd());
    line = indent;
    empty = true;
  };
  for (const word of text.split(' ')) {
    let rest = word;
    if (!empty && columns(line) + 1 + columns(rest) > width) next();
    while (columns(line) + (empty ? 0 : 1) + columns(rest) > width) {
      const [head, tail] = cut(rest, width - columns(line));
      line += head;
      rest = tail;
      next();
    }
    line += empty ? rest : ` ${rest}`;
    empty = false;
  }
  return [...done, line.trimEnd()];
}
