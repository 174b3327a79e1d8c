/**
 * A learned system as a Promela model, so that Spin (G. J. Holzmann) can count it again: this engine's store, hashes
 * and order of search have no part in that count.
 *
 * After an exploration every leaf of a process is a guarded command: the values read along its path, then what each of
 * its ways writes. One process is one `do` loop of such commands, each one indivisible step, so that nothing but the
 * variables tells two states apart. In patient time what time brings is guarded, besides, by nothing owed being enabled.
 *
 * Compared are the states, the steps, and the states in which nobody can move, or in which nothing is owed. What a leaf
 * should have read but did not is wrong in both counts: that is what replaying on plain objects is for.
 */
import { word } from '../../model/case.ts';
import { explore } from './explore.ts';
import type { Learned, Turn, Way } from './learned.ts';
import type { Leaf } from './learner.ts';

/** What Spin reports as an error in the printed model: a state in which nobody can move, or one that is at rest. */
export type Errors = 'stuck' | 'resting';
export interface PromelaOptions {
  /** What time brings comes only when nothing that is owed can move. */
  readonly patient: boolean;
  readonly errors?: Errors;
  /** Stands in the first line. */
  readonly title?: string;
}

/** What two counts of one system must agree in. */
export interface Count {
  readonly states: number;
  /** Steps, also those into states seen before. */
  readonly transitions: number;
  /** States in which nobody can do anything at all. */
  readonly stuck: number;
  /** States in which nothing is owed and time brings nothing. */
  readonly resting: number;
}
/** What Spin's verifier counted. */
export interface Recount {
  readonly states: number;
  readonly transitions: number;
  readonly errors: number;
}

/**
 * Our own count, in full states; it also learns every leaf there is.
 * @throws when there are more than `maxStates`: what is not explored cannot be printed
 */
export function countOf<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  { patient, maxStates }: { readonly patient: boolean; readonly maxStates: number },
): Count {
  let stuck = 0;
  const { store, transitions, resting, exhausted } = explore(learned, from, {
    maxStates,
    patient,
    edges: false,
    state: (_state, turns) => {
      if (turns.every(({ ways }) => ways.length === 0)) stuck += 1;
    },
  });
  if (!exhausted) throw new Error(`more than ${maxStates} states: too many to be counted twice`);
  return { states: store.count, transitions, stuck, resting };
}

/**
 * The model, of a system that was explored to its end from the packed state `from`.
 * @throws when a process read too widely for its leaves to be remembered
 */
export function promela<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  { patient, errors = 'stuck', title = 'a learned system' }: PromelaOptions,
): string {
  const { packing, threads } = learned;
  const leaves = threads.map((_, threadAt) => learned.leavesOf(threadAt));
  const largest = largestValues(from, leaves.flat());
  const names = new Map(
    [...largest.keys()].map((slot) => [slot, variable(slot, packing.slots[slot]?.path ?? [])] as const),
  );
  const holds = ({ slots, ids }: Leaf<Turn<F>>): string =>
    slots.length === 0 ? 'true' : slots.map((slot, at) => `${names.get(slot)} == ${ids[at]}`).join(' && ');
  const effect = ({ slots, ids }: Way<F>): string =>
    slots.length === 0 ? 'skip' : [...slots].map((slot, at) => `${names.get(slot)} = ${ids[at]}`).join('; ');
  const anyOf = (name: string, some: readonly Leaf<Turn<F>>[]): string =>
    `#define ${name} ${some.length === 0 ? 'false' : `\\\n${some.map((leaf) => `  (${holds(leaf)})`).join(' || \\\n')}`}`;
  const command = (leaf: Leaf<Turn<F>>, way: Way<F>): string => {
    const held = patient && way.nature === 'time' ? ' && !(OWED)' : '';
    return `  :: d_step { ${holds(leaf)}${held} -> ${effect(way)} } /* ${remark(word(way))} */`;
  };

  const timed = leaves.flat().filter(({ answer }) => answer.time);
  const lines = [
    `/* ${remark(title)}: ${threads.length} processes, ${names.size} variables that matter */`,
    ...[...names].map(
      ([slot, name]) =>
        `${typeFor(largest.get(slot) as number)} ${name} = ${from[slot]}; /* ${remark(packing.slots[slot]?.path.join('.') ?? '')} */`,
    ),
  ];
  if ((patient && timed.length > 0) || errors === 'resting') {
    const owed = leaves.flat().filter(({ answer }) => answer.owed);
    lines.push(anyOf('OWED', owed));
  }
  threads.forEach((thread, threadAt) => {
    const commands = (leaves[threadAt] ?? []).flatMap((leaf) => leaf.answer.ways.map((way) => command(leaf, way)));
    lines.push(...proctype(`p${threadAt}`, thread, commands));
  });
  if (errors === 'resting')
    lines.push(
      anyOf('TIME', timed),
      ...proctype('at_rest', 'says so, and changes nothing', ['  :: d_step { !(OWED) && !(TIME) -> assert(false) }']),
    );
  return `${lines.join('\n')}\n`;
}

const proctype = (name: string, says: string, commands: readonly string[]): string[] => [
  `active proctype ${name}() { /* ${remark(says)} */`,
  '  do',
  ...(commands.length > 0 ? commands : ['  :: d_step { false -> skip } /* never moves */']),
  '  od',
  '}',
];

/** The slots that anybody reads (whoever writes a slot has read it), each with the largest number it ever holds. */
function largestValues<F>(from: Uint16Array, leaves: readonly Leaf<Turn<F>>[]): Map<number, number> {
  const largest = new Map<number, number>();
  const meet = (slot: number, id: number): void =>
    void largest.set(slot, Math.max(id, largest.get(slot) ?? (from[slot] as number)));
  for (const { slots, ids, answer } of leaves) {
    slots.forEach((slot, at) => meet(slot, ids[at] as number));
    for (const way of answer.ways) way.slots.forEach((slot, at) => meet(slot, way.ids[at] as number));
  }
  return new Map([...largest].sort(([a], [b]) => a - b));
}

/** Promela's types: a byte has no sign, a short has. */
const typeFor = (largest: number): string => (largest <= 0xff ? 'byte' : largest <= 0x7fff ? 'short' : 'int');
/** The number makes it unique, the path makes it readable. */
const variable = (slot: number, path: readonly string[]): string =>
  `v${slot}_${path.join('_').replace(/\W+/g, '_')}`.slice(0, 48);
/** What may stand in a comment that the C preprocessor reads. */
const remark = (text: string): string => text.replaceAll('*/', '* /').replace(/[\n\r\\]+/g, ' ');

/**
 * Have Spin count a model.
 * @param run builds and runs the verifier, and answers with all that it said
 * @throws when the verifier did not search everything, with its own words
 */
export const recount = (text: string, { run }: { readonly run: (text: string) => string }): Recount =>
  panSays(run(text));

/** What Spin's verifier said that it counted. */
export function panSays(output: string): Recount {
  const complaint = /^.*(?:depth too small|out of memory|not completed|VECTORSZ|aborting).*$/m.exec(output);
  if (complaint) throw new Error(`Spin did not search everything: ${complaint[0].trim()}`);
  const number = (what: string, pattern: RegExp): number => {
    const [, digits] = pattern.exec(output) ?? [];
    if (digits === undefined) throw new Error(`Spin did not say how many ${what}: ${output.trim().slice(0, 400)}`);
    if (!/^\d+$/.test(digits)) throw new Error(`Spin rounds the number of ${what}: ${digits}`);
    return Number(digits);
  };
  return {
    states: number('states', /^\s*(\S+) states, stored/m),
    // Spin counts its way into the first state as a transition.
    transitions: number('transitions', /^\s*(\S+) transitions/m) - 1,
    // Every state is expanded once, so each stuck one is one invalid end state.
    errors: number('errors', /errors: (\S+)/),
  };
}

/** In what two counts differ, in words, or nothing. */
export function difference(ours: Count, theirs: Recount, errors: Errors = 'stuck'): string | undefined {
  const said = (what: string, here: number, there: number): string[] =>
    here === there ? [] : [`${what}: ${here} here, ${there} by Spin`];
  // Saying that a state is at rest is a step of its own.
  const steps = ours.transitions + (errors === 'resting' ? ours.resting : 0);
  const all = [
    ...said('states', ours.states, theirs.states),
    ...said('transitions', steps, theirs.transitions),
    ...said(`${errors} states`, ours[errors], theirs.errors),
  ];
  return all.length === 0 ? undefined : all.join('; ');
}
