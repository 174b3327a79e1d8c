/**
 * Several drivers on one machine: what each calls its own keeps apart, what a machine has one of they share.
 *
 * Each design argues about one driver, and a fence crosses from one to the next: the neighbour that waits in its shrinker,
 * the other card whose reset nobody here can break. Memory, reclaim and kswapd are always shared; a buffer, a fence or a
 * lock is shared when it is said by name. Names that two drivers use for different things get the driver's name in front.
 */
import { type Design, type Expectation, type Kernel, type Knobs, everything, settings } from './design.ts';
import type { Block, Instruction, Operand, Rows, ThreadSpec } from './machine.ts';
import { objects } from './objects/index.ts';
import { canonical } from './schema.ts';

/** Operands that name a variable of the running frame, or a field of it: not names of the design. */
const VARIABLES = new Set(['op', 'variable', 'of', 'into']);
const one = Object.assign({}, ...objects.map((object) => object.one ?? {})) as NonNullable<
  (typeof objects)[number]['one']
>;

/** Every name that a kernel declares: rows, threads, routines, calls. */
function declared({ objects: rows = {}, threads, routines = {}, calls = {} }: Kernel): string[] {
  const brought = Object.entries(threads).map(([name, thread]) => thread.rows?.(name) ?? {});
  const inTables = [rows, ...brought].flatMap((each) => Object.values(each).flatMap((table) => Object.keys(table)));
  return [...new Set([...inTables, ...Object.keys(threads), ...Object.keys(routines), ...Object.keys(calls)])];
}

const known = new WeakMap<Design, readonly string[]>();
/** Every name that a design declares at any setting. Asked once: a design meets all others in turn. */
function declaredBy(design: Design): readonly string[] {
  const names = known.get(design) ?? [...new Set(settings(design).flatMap((knobs) => declared(design.kernel(knobs))))];
  known.set(design, names);
  return names;
}

type Rename = (name: string) => string;
const keysRenamed = <T>(all: Readonly<Record<string, T>>, rename: Rename, of: (value: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(all).map(([name, value]) => [rename(name), of(value)]));

/** A witness is a sentence, in which a name is a word. */
const inSentence = (sentence: string, rename: Rename): string => sentence.split(' ').map(rename).join(' ');

/** Every name in a value; what an object has in it is renamed as `part` says. */
function inValue(
  value: Operand,
  rename: Rename,
  part: (key: string, value: Operand) => readonly [string, Operand],
): Operand {
  if (typeof value === 'string') return rename(value);
  if (Array.isArray(value)) return value.map((each: Operand) => inValue(each, rename, part));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => part(key, each)));
}
const inOperand = (operand: Operand, rename: Rename): Operand =>
  inValue(operand, rename, (key, value) => [key, VARIABLES.has(key) ? value : inOperand(value, rename)]);
/** Deep in the field of a row, names may be keys too. */
const inField = (field: Operand, rename: Rename): Operand =>
  inValue(field, rename, (key, value) => [rename(key), inField(value, rename)]);
const inLine = (line: Instruction, rename: Rename): Instruction =>
  line.op === 'witness'
    ? { ...line, name: inSentence(line['name'] as string, rename) }
    : (inOperand(line, rename) as Instruction);
const inBlock = (block: Block, rename: Rename): Block =>
  block.map((part) => (Array.isArray(part) ? inBlock(part, rename) : inLine(part as Instruction, rename)));
/** Rows keep the names of their fields, and the values of a field that has a list of them. */
const inRows = (rows: Rows, rename: Rename): Rows =>
  Object.fromEntries(
    Object.entries(rows).map(([slice, table]) => [
      slice,
      keysRenamed(table, rename, (row) =>
        Object.fromEntries(
          Object.entries(row).map(([field, value]) => [
            field,
            chosenFromAList(slice, field) ? value : inField(value as Operand, rename),
          ]),
        ),
      ),
    ]),
  );
const chosenFromAList = (slice: string, field: string): boolean => {
  const declaration = everything.schema[slice];
  return declaration?.kind === 'table' && declaration.fields[field]?.kind === 'oneOf';
};
const inThread = (name: string, thread: ThreadSpec, rename: Rename): ThreadSpec => ({
  ...thread,
  program: inBlock(thread.program, rename),
  ...(thread.rows ? { rows: () => inRows(thread.rows?.(name) ?? {}, rename) } : {}),
});
const inCall = (text: string, rename: Rename): string => text.replace(/[^\s(),]+/g, rename);

/** The same kernel under other names; `to` is asked about each name that it declares and that is not the machine's. */
export function renamed(kernel: Kernel, to: Rename): Kernel {
  const own = new Set(declared(kernel));
  const rename: Rename = (name) => (own.has(name) && !Object.hasOwn(one, name) ? to(name) : name);
  const { objects: rows = {}, threads, routines = {}, calls = {}, workload = {} } = kernel;
  return {
    objects: inRows(rows, rename),
    threads: Object.fromEntries(
      Object.entries(threads).map(([name, thread]) => [rename(name), inThread(name, thread, rename)]),
    ),
    routines: keysRenamed(routines, rename, (block) => inBlock(block, rename)),
    calls: keysRenamed(calls, rename, ({ params, body, by }) => ({
      params: Object.fromEntries(Object.entries(params).map(([name, values]) => [name, values.map(rename)])),
      body: inBlock(body, rename),
      ...(by ? { by: by.map(rename) } : {}),
    })),
    workload: keysRenamed(workload, rename, (all) => all.map((text) => inCall(text, rename))),
  };
}

/** What stands before the first dot: `timeline.1` goes where `timeline` goes. */
const stem = (name: string): string => name.split('.')[0] as string;

/**
 * How each driver's names read on the machine that they share. `shared` are names that mean one thing, each as the name
 * in every driver that has it, in the order of the drivers; the first one stays.
 */
function renames(
  drivers: readonly (readonly [driver: string, names: readonly string[]])[],
  shared: readonly (readonly string[])[],
): Rename[] {
  const names = drivers.map(([, all]) => all);
  const common = new Set<string>(Object.keys(one));
  const meeting = drivers.map(() => new Map<string, string>());
  for (const meant of shared) {
    const has = drivers.map((_, at) => {
      const name = meant.length === 1 ? meant[0] : meant[at];
      return name !== undefined && names[at]?.includes(name) ? name : undefined;
    });
    const [first, second] = has.filter((name) => name !== undefined);
    if (first === undefined || second === undefined)
      throw new Error(
        `${meant.join('=')} is not in two of the drivers; there are: ${drivers.map(([driver], at) => `${driver}: ${names[at]?.join(', ')}`).join('; ')}`,
      );
    has.forEach((name, at) => name !== undefined && meeting[at]?.set(name, first));
    common.add(first);
  }
  const stems = names.map((all) => new Set(all.filter((name) => !common.has(name)).map(stem)));
  const clash = (which: string): boolean => stems.filter((all) => all.has(which)).length > 1;
  return drivers.map(
    ([driver], at) =>
      (name) =>
        meeting[at]?.get(name) ?? (!common.has(name) && clash(stem(name)) ? `${driver}.${name}` : name),
  );
}

/**
 * The kernels of these drivers, by name, on one machine.
 * @throws when drivers disagree about what they share, or share what only one of them has
 */
export function onOneMachine(
  drivers: Readonly<Record<string, Kernel>>,
  shared: readonly (readonly string[])[] = [],
): Kernel {
  const all = Object.entries(drivers);
  const rename = renames(
    all.map(([driver, kernel]) => [driver, declared(kernel)]),
    shared,
  );
  return joined(all.map(([, kernel], at) => renamed(byItsOwn(kernel), rename[at] as Rename)));
}

/** A driver is called by its own processes: how many there are is part of what it argues about. */
function byItsOwn(kernel: Kernel): Kernel {
  const users = Object.keys(kernel.threads).filter((name) => kernel.threads[name]?.kind === 'user');
  const { calls = {} } = kernel;
  return {
    ...kernel,
    calls: keysRenamed(
      calls,
      (name) => name,
      (spec) => ({ by: users, ...spec }),
    ),
  };
}

/** Kernels whose names mean the same in each of them, as one. */
function joined(kernels: readonly Kernel[]): Kernel {
  const put = <T>(what: string, parts: readonly Readonly<Record<string, T>>[], join?: Join<T>): Record<string, T> => {
    const whole: Record<string, T> = {};
    for (const part of parts)
      for (const [name, value] of Object.entries(part)) {
        const before = whole[name];
        whole[name] = before === undefined ? value : (join ?? agreeing(what))(before, value, name);
      }
    return whole;
  };
  const rows = kernels.map(({ objects = {} }) => objects as Rows);
  const slices = [...new Set(rows.flatMap((each) => Object.keys(each)))];
  return {
    objects: Object.fromEntries(
      slices.map((slice) => [
        slice,
        put(
          slice,
          rows.map((each) => each[slice] ?? {}),
          (a, b, name) => one[name]?.(a, b) ?? agreeing<Rows[string][string]>(slice)(a, b, name),
        ),
      ]),
    ),
    threads: put(
      'threads',
      kernels.map(({ threads }) => threads),
    ),
    routines: put(
      'routines',
      kernels.map(({ routines = {} }) => routines),
    ),
    calls: put(
      'calls',
      kernels.map(({ calls = {} }) => calls),
    ),
    workload: Object.assign({}, ...kernels.map(({ workload = {} }) => workload)) as NonNullable<Kernel['workload']>,
  };
}
type Join<T> = (one: T, other: T, name: string) => T;
const agreeing =
  <T>(what: string): Join<T> =>
  (a, b, name) => {
    if (canonical(a) !== canonical(b))
      throw new Error(`two drivers disagree about ${name} of ${what}: ${canonical(a)} and ${canonical(b)}`);
    return a;
  };

/** The knobs of designs side by side: under their own names where only one design has them. */
function knobNames(named: readonly (readonly [string, Design])[]): ((knob: string) => string)[] {
  const count = (knob: string): number => named.filter(([, each]) => Object.hasOwn(each.knobs, knob)).length;
  return named.map(
    ([name]) =>
      (knob) =>
        count(knob) > 1 ? `${name}.${knob}` : knob,
  );
}

/**
 * Designs on one machine, as one design: convicted of all that any of them alone is convicted of, and acquitted where
 * all of them are. What is not found in one alone is a finding about the pair.
 */
export function composed(name: string, of: readonly Design[], shared: readonly (readonly string[])[] = []): Design {
  const named = of.map(
    (design, at) =>
      [
        of.some((each, other) => each === design && other !== at) ? `${design.name}.${at + 1}` : design.name,
        design,
      ] as const,
  );
  const knobOf = knobNames(named);
  const ofPart = (at: number, knobs: Knobs): Knobs =>
    Object.fromEntries(
      Object.keys(of[at]?.knobs ?? {}).map((knob) => [knob, knobs[(knobOf[at] as Rename)(knob)] ?? '']),
    );
  const withKnobs = <T>(at: number, all: Readonly<Record<string, T>>): Record<string, T> =>
    keysRenamed(all, knobOf[at] as Rename, (value) => value);
  const rename = renames(
    named.map(([driver, design]) => [driver, declaredBy(design)]),
    shared,
  );
  return {
    name,
    title: of.map(({ title }) => title).join('; and on the same machine: '),
    sources: [...new Set(of.flatMap(({ sources }) => sources))],
    knobs: Object.assign({}, ...of.map(({ knobs }, at) => withKnobs(at, knobs))) as Design['knobs'],
    kernel: (knobs) =>
      joined(of.map((design, at) => renamed(byItsOwn(design.kernel(ofPart(at, knobs))), rename[at] as Rename))),
    expect: of.reduce<Expectation[]>(
      (sofar, { expect }, at) =>
        sofar.flatMap((before) =>
          expect.map((each) => both(before, { ...each, when: withKnobs(at, each.when) }, rename[at] as Rename)),
        ),
      [{ when: {}, acquits: true, because: '' }],
    ),
  };
}
function both(
  before: Expectation,
  { when, convicts = [], acquits, witnesses = [], because }: Expectation,
  rename: Rename,
): Expectation {
  const clean = before.acquits && acquits;
  return {
    when: { ...before.when, ...when },
    ...(clean
      ? {
          acquits: true,
          witnesses: [...(before.witnesses ?? []), ...witnesses.map((each) => inSentence(each, rename))],
        }
      : { convicts: [...new Set([...(before.convicts ?? []), ...convicts])] }),
    because: before.because === '' ? because : `${before.because}; ${because}`,
  };
}
