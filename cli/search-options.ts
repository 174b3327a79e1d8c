/**
 * The options of `check` that say how to search, and which of them go together. What they change is time, memory and
 * trust, never what is found; where a combination could not keep that promise it is refused by name.
 */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { refusesTogether } from '../properties/search/refuses.ts';
import { type Reductions, namesOf, reductionsOf } from '../properties/search/reductions/reductions.ts';
import { type How, ORDERS } from '../properties/search/storage/how.ts';
import { MODES, type Mode } from '../properties/search/storage/seen.ts';
import { refusal } from './refusal.ts';

export interface SearchOptions {
  readonly storage: Mode;
  readonly order: How['order'];
  readonly memory?: number;
  readonly reduce: boolean | Reductions;
  readonly checkpoint?: string;
  readonly audit: boolean;
  readonly spin?: true | string;
  readonly estimate: boolean;
  readonly cost: boolean;
  readonly schedules: boolean;
}

/** What a search may leave out, as it is called on the command line. */
const KINDS: Readonly<Record<string, keyof Reductions>> = {
  'partial-order': 'partialOrder',
  merge: 'merge',
  sleep: 'sleep',
  symmetry: 'symmetry',
  shift: 'shift',
};
function reductions(text: string): Reductions {
  const kinds = text.split(',').map((each) => each.trim());
  const odd = kinds.find((kind) => !Object.hasOwn(KINDS, kind));
  if (odd !== undefined) throw new InvalidArgumentError(`"${odd}" is none of: ${Object.keys(KINDS).join(', ')}`);
  return Object.fromEntries(kinds.map((kind) => [KINDS[kind], true])) as Reductions;
}

const UNITS = ['', 'K', 'M', 'G', 'T'];
/** `500M`, `2G` in bytes. */
export function bytes(text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
  const value = Number(amount) * 1024 ** UNITS.indexOf(unit.toUpperCase());
  if (amount === undefined || value < 1) throw new InvalidArgumentError('it must be a size like 500M or 2G');
  return Math.floor(value);
}

export function addSearchOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--storage <how>',
        'how states are remembered: in full, losslessly compressed, as 64-bit fingerprints, or as a few bits',
      )
        .choices(MODES)
        .default('full'),
    )
    .addOption(
      new Option('--order <first>', 'breadth first for shortest counterexamples, depth first for little memory')
        .choices(ORDERS)
        .default('breadth'),
    )
    .addOption(
      new Option('--memory <size>', 'stop when the search of a setting would hold more than this').argParser(bytes),
    )
    .addOption(
      new Option(
        '--reduce [kinds]',
        `search fewer states with the same verdicts, by some of: ${Object.keys(KINDS).join(', ')} (without a list: all but the last)`,
      )
        .argParser(reductions)
        .default(false),
    )
    .addOption(
      new Option('--checkpoint <file>', 'write the search of one setting to a file now and then, and go on from it'),
    )
    .addOption(
      new Option('--audit', 'repeat every verdict with other storage, other hashes, and on plain objects').default(
        false,
      ),
    )
    .addOption(
      new Option('--spin [file]', 'have Spin count the states of what was learned; keep the Promela model in a file'),
    )
    .addOption(
      new Option('--estimate', 'only say how many states and schedules there are to search, about').default(false),
    )
    .addOption(
      new Option('--cost', 'only say what each setting costs at most: pages, moves, processes stopped').default(false),
    )
    .addOption(
      new Option('--schedules', 'search schedules instead of states: no memory, workloads that end').default(false),
    );
}

/** The option by which no verdicts are searched for, or not by states. */
export const insteadOf = ({ estimate, cost, schedules }: SearchOptions): string | undefined =>
  estimate ? '--estimate' : schedules ? '--schedules' : cost ? '--cost' : undefined;

/** @throws a refusal that says what does not go together, and why */
export function refuseCombinations(
  options: SearchOptions,
  { settings, saves, verifies }: { readonly settings: number; readonly saves: boolean; readonly verifies: boolean },
): void {
  const { storage, order, memory, reduce, checkpoint, audit, spin, estimate, cost, schedules } = options;
  const plain = storage === 'full' && order === 'breadth';
  const no = (what: string, because: string): never => {
    throw refusal(`${what}: ${because}`);
  };
  const instead = insteadOf(options);
  if (saves && (!plain || reduce !== false || instead !== undefined))
    no('--save', 'the corpus keeps shortest counterexamples and exact counts, which take full states, breadth first');
  const against = refusesTogether(namesOf(reductionsOf(reduce)));
  if (against !== undefined) no('--reduce', against);
  if (reduce !== false && (!plain || memory !== undefined || checkpoint !== undefined))
    no('--reduce', 'a reduced search keeps full states, breadth first, and has no checkpoints and no memory limit');
  if (checkpoint !== undefined && settings !== 1)
    no('--checkpoint', `it is of one setting, and these are ${settings}; choose one with --knobs`);
  if (checkpoint !== undefined && order === 'depth')
    no('--checkpoint', 'a search is written down between two levels, and depth first has none');
  if (audit && storage === 'bits')
    no(
      '--audit',
      'a search that keeps a few bits of a state never says that it saw everything, so there is nothing to repeat',
    );
  if (typeof spin === 'string' && settings !== 1)
    no('--spin', `one file takes the model of one setting, and these are ${settings}; choose one with --knobs`);
  if (verifies && storage === 'fingerprints' && checkpoint === undefined)
    no(
      '--verify',
      'with fingerprints, states are judged by several workers; verify with another storage, or use --audit',
    );
  if (cost && instead !== '--cost') no('--cost', `it says something else than ${instead}`);
  if (instead !== undefined && (!plain || reduce !== false || audit || spin !== undefined || checkpoint !== undefined))
    no(
      instead,
      cost
        ? 'it judges nothing, and takes every state in full'
        : 'it does not search states, so how they are searched is not to be chosen',
    );
  if (estimate && schedules) no('--estimate', 'it speaks of states and of schedules already; leave out --schedules');
}
