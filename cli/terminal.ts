/**
 * The terminal: the one place that knows whether anybody is looking, how wide it is, and which colours it likes.
 *
 * Results go to standard output, progress and complaints to standard error, so that a pipe gets results only. The
 * progress line is redrawn in place on a terminal and is a plain line every few seconds in a log.
 */
import { createLogUpdate } from 'log-update';
import * as colors from 'yoctocolors';
import { type Look, type Paint, plain } from '../reports/reporter.ts';

export interface Terminal {
  /** A result. */
  readonly say: (text: string) => void;
  /** Something a person should know that is no result. */
  readonly warn: (text: string) => void;
  /** What is going on right now; '' when nothing is. */
  readonly progress: (line: string) => void;
  readonly look: Look;
  /** What goes on is redrawn in place, and may have several lines. */
  readonly screen?: boolean;
}

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

const NARROWEST = 60;
const WIDEST = 140;
const UNKNOWN_WIDTH = 100;
/** In a log, a line of progress this often. */
const PLAIN_EVERY_MS = 10_000;

/** The terminal of this process; https://no-color.org is heeded. */
export function processTerminal(): Terminal {
  const { stdout, stderr } = process;
  const colourful = stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  const width = Math.min(WIDEST, Math.max(NARROWEST, stdout.isTTY ? stdout.columns || UNKNOWN_WIDTH : UNKNOWN_WIDTH));
  // A terminal without a size (some containers) has no room in which a line could be redrawn.
  const live = stderr.isTTY && stderr.columns > 0 && stderr.rows > 0 ? createLogUpdate(stderr) : undefined;
  let line = '';
  let printedAt = Date.now();
  const above = (stream: NodeJS.WriteStream, text: string): void => {
    if (line !== '') live?.clear();
    stream.write(`${text}\n`);
    if (line !== '') live?.(line);
  };
  return {
    look: { width, paint: colourful ? painted : plain },
    screen: live !== undefined,
    say: (text) => above(stdout, text),
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
