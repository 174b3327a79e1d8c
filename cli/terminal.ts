/**
 * The terminal: the one place that knows whether anybody is looking, how wide it is, and which colours it likes.
 *
 * Results go to standard output, progress and complaints to standard error, so that a pipe gets results only. The
 * progress line is redrawn in place on a terminal and is a plain line every few seconds in a log.
 */
import { createLogUpdate } from 'log-update';
import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';
import * as colors from 'yoctocolors';
import { type Look, type Paint, plain } from '../reports/reporter.ts';

export interface Terminal {
  /** A result, for people: on a terminal, laid out to fit it. */
  readonly say: (text: string) => void;
  /** A result, for programs: written as it is. Without it, `say` does that. */
  readonly data?: (text: string) => void;
  /** Something a person should know that is no result. */
  readonly warn: (text: string) => void;
  /** What is going on right now; '' when nothing is. */
  readonly progress: (line: string) => void;
  readonly look: Look;
  /** What goes on is redrawn in place, and may have several lines. */
  readonly screen?: boolean;
}

/** The same for somebody who does not care what goes on. */
export const quietly = (terminal: Terminal, quiet: boolean): Terminal =>
  quiet ? { ...terminal, progress: () => undefined } : terminal;

const PAINTS: Readonly<Record<Parameters<Paint>[0], (text: string) => string>> = {
  title: colors.bold,
  heading: colors.underline,
  name: colors.cyan,
  step: (text) => text,
  wait: colors.yellow,
  bad: colors.red,
  good: colors.green,
  dim: colors.dim,
};
const painted: Paint = (style, text) => PAINTS[style](text);

const NARROWEST = 40;
const WIDEST = 140;
const UNKNOWN_WIDTH = 100;
/** In a log, a line of progress this often. */
const PLAIN_EVERY_MS = 10_000;

/** Write a result for programs. */
export const print = ({ data, say }: Terminal, text: string): void => (data ?? say)(text);

/** Signs of ours in ASCII, column for column. */
const IN_ASCII: Readonly<Record<string, string>> = {
  ...{ '→': '>', '←': '<', '›': '>', '…': '.', '·': '*', '✓': '+', '✗': 'x' },
  ...{ '─': '-', '│': '|', '┼': '+', '×': 'x' },
};
export const inAscii = (text: string): string => text.replace(/[^\0-\u007F]/gu, (sign) => IN_ASCII[sign] ?? '?');
/** Does this environment say that its terminal takes ASCII only? Nothing said is UTF-8, as everywhere today. */
export function asciiOnly(env: Readonly<Record<string, string | undefined>>): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return env['TERM'] === 'dumb' || (locale !== '' && !/utf-?8/i.test(locale));
}

/** What somebody will paste is left whole: the terminal breaks it where it likes, and copies it in one piece. */
const PASTED = /^\s*npx fenceproof /;
const HANGING = 4;
/** Break the lines that are wider than the terminal, the rest of a line further in than its beginning. */
export const fitted = (text: string, width: number): string =>
  text
    .split('\n')
    .flatMap((line) => {
      if (stringWidth(line) <= width || PASTED.test(line)) return [line];
      const [indent = ''] = /^ */.exec(line) ?? [];
      const further = ' '.repeat(Math.min(indent.length + HANGING, Math.floor(width / 2)));
      const [first = '', ...rest] = wrapAnsi(line, width - further.length, { hard: true, trim: false }).split('\n');
      return [first.trimEnd(), ...rest.map((part) => `${further}${part.trim()}`)];
    })
    .join('\n');

/** The terminal of this process; https://no-color.org is heeded. */
export function processTerminal(): Terminal {
  const { stdout, stderr } = process;
  const colourful = stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
  const ascii = asciiOnly(process.env);
  const laidOut = (stream: NodeJS.WriteStream, text: string): string => {
    if (!stream.isTTY) return text;
    const fits = fitted(text, stream.columns > 0 ? stream.columns : UNKNOWN_WIDTH);
    return ascii ? inAscii(fits) : fits;
  };
  const width = Math.min(WIDEST, Math.max(NARROWEST, stdout.isTTY ? stdout.columns || UNKNOWN_WIDTH : UNKNOWN_WIDTH));
  // A terminal without a size (some containers) has no room in which a line could be redrawn.
  const live = stderr.isTTY && stderr.columns > 0 && stderr.rows > 0 ? createLogUpdate(stderr) : undefined;
  let line = '';
  let printedAt = Date.now();
  const above = (stream: NodeJS.WriteStream, text: string): void => {
    if (line !== '') live?.clear();
    stream.write(`${laidOut(stream, text)}\n`);
    if (line !== '') live?.(line);
  };
  return {
    look: { width, paint: colourful ? painted : plain },
    screen: live !== undefined,
    say: (text) => above(stdout, text),
    data: (text) => void stdout.write(`${text}\n`),
    warn: (text) => above(stderr, text),
    progress(text) {
      line = text;
      if (live) {
        if (text === '') {
          live.clear();
          live.done();
        } else {
          live(text);
        }
      } else if (text !== '' && Date.now() - printedAt >= PLAIN_EVERY_MS) {
        printedAt = Date.now();
        stderr.write(`${text}\n`);
      }
    },
  };
}

/**
 * A closed pipe (`fenceproof list | head`) ends the program without a word, with the status that a shell expects of a
 * program that wrote to nobody (128 + SIGPIPE).
 */
export function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(141);
    });
}
