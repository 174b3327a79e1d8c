/**
 * Options that several commands share, and how their values are read. A value that cannot be read is refused with what
 * would be accepted.
 */
import { InvalidArgumentError, Option } from 'commander';

/** `a,b` and repeated options are the same list. */
export const listed = (text: string, before: string[] | undefined): string[] => [
  ...(before ?? []),
  ...text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== ''),
];

/** A whole number of at least `least`; underscores may group its digits. */
export const wholeNumber =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text.replaceAll('_', ''));
    if (!/^-?[\d_]+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(
        `it must be a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? ' on' : ` to ${most}`}`,
      );
    return value;
  };

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };
/** `90s`, `10m`, `8h` in milliseconds. */
export function duration(text: string): number {
  const [, amount, unit = 's'] = /^(\d+(?:\.\d+)?)([smh]?)$/.exec(text) ?? [];
  const value = Number(amount) * (UNITS[unit === '' ? 's' : unit] as number);
  if (amount === undefined || value <= 0) throw new InvalidArgumentError('it must be a time like 90s, 10m or 8h');
  return value;
}

export const designOption = (says: string): Option => new Option('-d, --design <names>', says).argParser(listed);
export const propertyOption = (): Option =>
  new Option('-p, --property <names>', 'judge by these properties only').argParser(listed);
export const knobsOption = (): Option =>
  new Option('-k, --knobs <name=value...>', 'only settings with these knob values');
export const workersOption = (workers: number): Option =>
  new Option('--workers <n>', 'threads to use; 0 does everything in the main thread')
    .argParser(wholeNumber(0, 256))
    .default(workers);
const PATIENCE = 60_000;
export const patienceOption = (): Option =>
  new Option('--patience <duration>', 'a batch that stands still for so long is taken from its worker')
    .argParser(duration)
    .default(PATIENCE, '60s');
export const queueOption = (says: string): Option => new Option('--queue <url>', `${says}, like redis://host:6379`);
export const strategyOption = (): Option =>
  new Option('--strategy <names>', 'use these strategies only').argParser(listed);
export const outOption = (says: string): Option => new Option('-o, --out <directory>', says);
export const quietOption = (says = 'print only what is not as it should be'): Option =>
  new Option('-q, --quiet', says).default(false);
export const jsonOption = (of: string): Option =>
  new Option('--json', `print one line of JSON for every ${of}`).default(false);
export const verboseOption = (says: string): Option => new Option('-v, --verbose', says).default(false);
