/**
 * Where things are: the package itself, its corpus, and the directory for what is found.
 *
 * The package's own corpus takes findings only in a checkout; an installed copy is not a place to keep anything.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The nearest directory above this file with a package.json: the same from sources and from dist. */
export const packageRoot: string = (() => {
  let at = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(at, 'package.json')) && dirname(at) !== at) at = dirname(at);
  return at;
})();

export const packageCorpus: string = join(packageRoot, 'corpus', 'cases');
const isCheckout = !packageRoot.split(sep).includes('node_modules');

/** Where findings go when nobody says: the checkout's corpus, or a directory of its own for a user's design. */
export const defaultOut = (usersOwn: boolean): string =>
  isCheckout && !usersOwn ? packageCorpus : resolve('fenceproof-corpus');

export const version: string = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version;

/** A path as one would type it here. */
export function asTyped(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' ? '.' : short.startsWith('..') && path.length <= short.length ? path : short;
}

/** An argument as a shell wants it. */
export const quoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
