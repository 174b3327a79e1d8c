/**
 * Sources as links where there is something to link to: files of the kernel and their documentation, commits, and the
 * archive of the mailing lists. The rest, rule ids among it, stays a citation. A page works without following any.
 */
export interface Piece {
  readonly text: string;
  readonly href?: string;
}

const TREE = 'https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/';
const DOCS = 'https://docs.kernel.org/';
const LISTS = 'https://lore.kernel.org/all/?q=';

const FILE = /\b(?:Documentation|block|drivers|fs|include|kernel|lib|mm)\/[\w./-]*\w\.(?:c|h|rst)\b/g;
/** A list, a day, and perhaps a title: enough to find a thread in the archive. */
const MAIL = /\b(?:dri-devel|amd-gfx|intel-gfx|intel-xe|linux-media|nouveau|lkml)\b.*?\b(20\d\d)-(\d\d)-(\d\d)\b/;

/** A source, cut into pieces of which some are links; together they read as the source does. */
export function citation(source: string): Piece[] {
  const mail = MAIL.exec(source);
  if (mail) return [{ text: source, href: `${LISTS}${encodeURIComponent(question(source, mail))}` }];
  const pieces: Piece[] = [];
  let at = 0;
  for (const { 0: file, index } of source.matchAll(FILE)) {
    if (index > at) pieces.push({ text: source.slice(at, index) });
    pieces.push({ text: file, href: addressOf(file) });
    at = index + file.length;
  }
  return at < source.length ? [...pieces, { text: source.slice(at) }] : pieces;
}

const addressOf = (file: string): string =>
  file.startsWith('Documentation/') && file.endsWith('.rst')
    ? `${DOCS}${file.slice('Documentation/'.length, -'.rst'.length)}.html`
    : `${TREE}${file}`;

/** What to ask the archive: the title, or what else is said of the mail, in the rest of that month. */
function question(source: string, mail: RegExpExecArray): string {
  const [said, year, month, day] = mail;
  const [, quoted] = /"([^"]+)"/.exec(source) ?? [];
  const behind = source.slice(mail.index + said.length).replace(/\(.*?\)/g, '');
  const words = (quoted ?? behind)
    .replace(/\[.*?\]|["',]/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  const title = quoted !== undefined || words.includes(': ');
  return `${title ? `s:"${words}"` : words} d:${year}${month}${day}..${year}${month}31`.trim();
}
