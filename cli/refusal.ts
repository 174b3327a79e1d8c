/**
 * A refusal: the input is at fault, and one line says what and where. It ends the program with status 2.
 *
 * commander's own error carries a status and is what it throws for a wrong flag, so there is only one kind.
 */
import { CommanderError } from 'commander';

export const USAGE = 2;
export const INTERRUPTED = 130;

export const refusal = (message: string): CommanderError => new CommanderError(USAGE, 'fenceproof.input', message);

/** A message as one line that is safe to print. */
export const oneLine = (message: string): string =>
  message
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 2000);

/** Run something that throws when its input is wrong. */
export function heeding<T>(run: () => T, where = ''): T {
  try {
    return run();
  } catch (error) {
    throw refusal(`${where === '' ? '' : `${where}: `}${oneLine((error as Error).message)}`);
  }
}
