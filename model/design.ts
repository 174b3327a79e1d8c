/**
 * A design: one driver or subsystem as a page of kernel pseudo-code, with the choices its authors argued about.
 *
 * `kernel(knobs)` only builds data. `boot` turns it into a machine: programs flattened, every name checked, every
 * object that can ever exist in its place. Nothing of a design runs after boot.
 */
import {
  type Block,
  type Instruction,
  type KernelObject,
  type KernelState,
  type Machine,
  type Operand,
  type Rows,
  type Slices,
  type ThreadSpec,
  schema as threadSchema,
} from './machine.ts';
import { inAtomic, objects, together } from './objects/index.ts';
import type { Call } from './objects/user.ts';
import { compile } from './program.ts';
import { type Schema, bootState } from './schema.ts';

/** The names of all properties, fixed: traces, reports and tests agree on them. */
export const PROPERTIES = [
  'fence-signals',
  'no-alloc-in-signalling',
  'no-deadlock',
  'lock-order',
  'no-livelock',
  'innocent-not-punished',
  'implicit-sync',
  'no-stale-access',
  'contents-kept',
  'ttm-state',
  'no-needless-work',
  'no-leak',
  'api-contract',
] as const;
export type PropertyName = (typeof PROPERTIES)[number];

export type Knobs = Readonly<Record<string, string>>;
/** What each user process calls, in order, as text: `user0: ['submit(bo0)', 'munmap(r0)']`. */
export type Workload = Readonly<Record<string, readonly string[]>>;

/** A system call that user processes may make: its parameters with the values they may take, and its code. */
export interface CallSpec {
  readonly params: Readonly<Record<string, readonly string[]>>;
  readonly body: Block;
  /** The processes that make this call; any of them when left out. */
  readonly by?: readonly string[];
}
export const ioctl = (params: Readonly<Record<string, readonly string[]>>, body: Block): CallSpec => ({ params, body });

/** A kernel thread that begins, and one that possibly never does. */
export const must = (program: Block): ThreadSpec => ({ kind: 'kernel', begins: 'must', program });
export const may = (program: Block): ThreadSpec => ({ kind: 'kernel', begins: 'may', program });

/** Rows by table, each with the fields that do not begin empty; a table or a field that does not exist is an error. */
export type Objects = {
  readonly [T in Exclude<keyof Slices, 'threads'>]?: Slices[T] extends Readonly<Record<string, infer R>>
    ? Readonly<Record<string, R extends object ? { readonly [F in keyof R]?: Readonly<R[F]> | undefined } : R>>
    : never;
};

export interface Kernel {
  /** `{ locks: { 'mn.lock': {} }, fences: { job: {} } }`. Workers, timers, rings and users bring their own. */
  readonly objects?: Objects;
  readonly threads: Readonly<Record<string, ThreadSpec>>;
  readonly routines?: Readonly<Record<string, Block>>;
  readonly calls?: Readonly<Record<string, CallSpec>>;
  /** The bound of the exhaustive search: what the processes call there. */
  readonly workload?: Workload;
}

/** What the harness must find for some settings. The first expectation whose `when` fits a setting speaks for it. */
export interface Expectation {
  /** Knob values, one or several each; a knob left out may stand anywhere. */
  readonly when: Readonly<Record<string, string | readonly string[]>>;
  /** Must be convicted by each of these. */
  readonly convicts?: readonly PropertyName[];
  /** Must not be convicted by these. */
  readonly spares?: readonly PropertyName[];
  /** Nothing at all may be found. */
  readonly acquits?: true;
  /** Situations that must have been reached for the verdict to count. */
  readonly witnesses?: readonly string[];
  /** The argument in a sentence, with its source. */
  readonly because: string;
}

export interface Design {
  readonly name: string;
  /** The claim, as the mail or document makes it. */
  readonly title: string;
  /** Where the argument stands: mails, kernel documents, kernel files, rule ids. */
  readonly sources: readonly string[];
  /** The choices, tamest value first. */
  readonly knobs: Readonly<Record<string, readonly string[]>>;
  readonly kernel: (knobs: Knobs) => Kernel;
  readonly expect: readonly Expectation[];
}

/** Declare a design; the knobs that `kernel` receives are typed by the values declared. */
export function design<const K extends Readonly<Record<string, readonly string[]>>>(spec: {
  readonly name: string;
  readonly title: string;
  readonly sources: readonly string[];
  readonly knobs: K;
  readonly kernel: (knobs: { readonly [N in keyof K]: K[N][number] }) => Kernel;
  readonly expect: readonly (Omit<Expectation, 'when'> & {
    readonly when: { readonly [N in keyof K]?: K[N][number] | readonly K[N][number][] };
  })[];
}): Design {
  return spec as unknown as Design;
}

/**
 * The names of these objects, each as itself, for a design that wants a misspelt name to be an error in the editor:
 * `const { locks, fences } = names(objects)`, then `mutex_lock(locks.mine)`.
 */
export const names = <const O extends Objects>(
  objects: O,
): { readonly [T in keyof O]: { readonly [N in keyof O[T]]: N } } =>
  Object.fromEntries(
    Object.entries(objects).map(([table, rows]) => [
      table,
      Object.fromEntries(Object.keys(rows).map((row) => [row, row])),
    ]),
  ) as never;

/** Every setting of the knobs that has these values, tamest first, the last knob turning fastest. */
export function settings(of: Design, having: Knobs = {}): Knobs[] {
  return Object.entries(of.knobs).reduce<Knobs[]>(
    (all, [knob, values]) =>
      all.flatMap((knobs) =>
        values.filter((value) => (having[knob] ?? value) === value).map((value) => ({ ...knobs, [knob]: value })),
      ),
    [{}],
  );
}

/** As a person writes it: `memory=embedded on_failure=retry`. */
export const showKnobs = (knobs: Knobs): string =>
  Object.entries(knobs)
    .map(([knob, value]) => `${knob}=${value}`)
    .join(' ');

/** The expectation that speaks for a setting, or nothing: then the verdict is an open question. */
export function expected(of: Design, knobs: Knobs): Expectation | undefined {
  return of.expect.find(({ when }) =>
    Object.entries(when).every(([knob, value]) => [value].flat().includes(knobs[knob] ?? '')),
  );
}

/**
 * The knobs in full: what is left out stands at its tamest value.
 * @throws when a knob or a value is unknown; the error lists what exists.
 */
export function fullKnobs(of: Design, given: Knobs): Knobs {
  for (const [knob, value] of Object.entries(given)) {
    const values = Object.hasOwn(of.knobs, knob) ? of.knobs[knob] : undefined;
    if (!values)
      throw new Error(`${of.name} has no knob "${knob}"; there are: ${Object.keys(of.knobs).join(', ') || 'none'}`);
    if (!values.includes(value))
      throw new Error(`${of.name}: knob ${knob} cannot be "${value}"; it can be: ${values.join(', ')}`);
  }
  return Object.fromEntries(Object.entries(of.knobs).map(([knob, values]) => [knob, given[knob] ?? values[0] ?? '']));
}

/** A booted design: the machine, and what a workload may consist of. */
export interface Booted {
  readonly design: Design;
  readonly knobs: Knobs;
  readonly machine: Machine;
  readonly calls: Readonly<Record<string, CallSpec>>;
  /** The workload of the exhaustive search. */
  readonly workload: Workload;
}

/** Kernel objects put together, once for all machines that are built of them. */
export interface Library extends Pick<Machine, 'schema' | 'ops' | 'programs' | 'leftovers'> {
  /** Rows that come along with the lines of these programs; `rows` are those of its own. */
  readonly brought: (programs: Machine['programs']) => Rows;
  readonly rows: Rows;
}
/** @throws when two objects declare the same instruction, routine or table, naming it */
export function libraryOf(objects: readonly KernelObject[]): Library {
  once(
    'instruction',
    objects.map(({ ops }) => ops.map(({ opName }) => opName)),
  );
  once(
    'routine',
    objects.map((object) => Object.keys(object.routines ?? {})),
  );
  once(
    'table',
    objects.map((object) => Object.keys(object.schema ?? {})),
  );
  const bringing = objects.flatMap(({ brings }) => (brings ? [brings] : []));
  const brought = (programs: Machine['programs']): Rows =>
    together(
      ...Object.values(programs).flatMap((lines) => lines.flatMap((line) => bringing.map((each) => each(line)))),
    );
  const routines = objects.flatMap((object) => Object.entries(object.routines ?? {}));
  const programs = Object.fromEntries(routines.map(([name, block]) => [name, compile(name, block, true)]));
  return {
    schema: Object.assign({}, threadSchema, ...objects.map((object) => object.schema ?? {})) as Schema,
    ops: Object.fromEntries(objects.flatMap(({ ops }) => ops.map(({ opName, op }) => [opName, op]))),
    programs,
    leftovers: (kernel) => objects.flatMap((object) => object.leftovers?.(kernel) ?? []),
    brought,
    rows: brought(programs),
  };
}
function once(what: string, names: readonly (readonly string[])[]): void {
  const seen = new Set<string>();
  for (const name of names.flat()) {
    if (seen.has(name)) throw new Error(`the ${what} "${name}" is declared by two objects`);
    seen.add(name);
  }
}
/** All kernel objects there are. */
export const everything = libraryOf(objects);

/**
 * Build the machine of one setting, out of all kernel objects there are, or out of these.
 * @throws when the design names a lock, fence, routine, label or value that does not exist, listing what does.
 */
export function boot(of: Design, given: Knobs = {}, library: Library = everything): Booted {
  const knobs = fullKnobs(of, given);
  const kernel = of.kernel(knobs);
  const calls = kernel.calls ?? {};
  const { schema, ops, leftovers } = library;
  const own: Record<string, Instruction[]> = {};
  const add = (name: string, block: Block): void => {
    if (name in library.programs || name in own)
      throw new Error(`${of.name}: "${name}" is declared twice among routines, calls and threads`);
    own[name] = compile(`${of.name}: ${name}`, block);
  };
  for (const [name, block] of Object.entries(kernel.routines ?? {})) add(name, block);
  for (const [name, { body }] of Object.entries(calls)) add(name, body);
  for (const [name, { program }] of Object.entries(kernel.threads)) add(name, program);

  const programs = { ...library.programs, ...own };
  const rows = together(
    library.rows,
    library.brought(own),
    ...Object.entries(kernel.threads).map(([name, thread]) => thread.rows?.(name) ?? {}),
    kernel.objects ?? {},
  );
  const threads = Object.fromEntries(
    Object.entries(kernel.threads).map(([name, { atomic, begins }]) => [
      name,
      {
        frames: [{ routine: name, pc: 0, vars: { me: name } }],
        ret: '0',
        begun: begins === 'must',
        held: atomic ? [inAtomic('interrupt context')] : [],
      },
    ]),
  );
  const state = bootState(schema, { ...rows, threads }, Object.keys(programs)) as unknown as KernelState;
  state.facts = [];
  const machine: Machine = { ops, schema, leftovers, threads: kernel.threads, programs, boot: state };
  for (const [name, program] of Object.entries(own)) checkNames(`${of.name}: ${name}`, program, machine);
  const booted: Booted = { design: of, knobs, machine, calls, workload: kernel.workload ?? {} };
  start(booted, booted.workload);
  return booted;
}

/** Every operand that names an object names one that exists; '$x' is checked when it runs. */
function checkNames(where: string, program: readonly Instruction[], machine: Machine): void {
  for (const line of program) {
    const op = machine.ops[line.op];
    if (!op) throw new Error(`${where}: unknown instruction "${line.op}"`);
    const rows = (
      line.op === 'call' ? [['routines', line['routine']]] : (op.touches?.(line) ?? [])
    ) as readonly (readonly [string, Operand])[];
    for (const [slice, row] of rows) {
      if (typeof row !== 'string')
        throw new Error(`${where}: ${line.op} wants a name of ${slice}, not ${JSON.stringify(row)}`);
      if (row.startsWith('$')) continue;
      const there = Object.keys(
        slice === 'routines' ? machine.programs : ((machine.boot as unknown as Record<string, object>)[slice] ?? {}),
      );
      if (!there.includes(row))
        throw new Error(
          `${where}: ${line.op} names unknown ${slice} "${row}"; there are: ${there.join(', ') || 'none'}`,
        );
    }
  }
}

/** The boot state with this workload ahead of it: a fresh, unfrozen state that the caller may assign to. */
export function start(booted: Booted, workload: Workload): KernelState {
  const state = structuredClone(booted.machine.boot);
  for (const [user, calls] of Object.entries(workload)) {
    const row = Object.hasOwn(state.users, user) ? state.users[user] : undefined;
    if (!row) throw new Error(`unknown user "${user}"; there are: ${Object.keys(state.users).join(', ') || 'none'}`);
    row.todo = calls.map((text) => parseCall(booted, text));
    const odd = row.todo.find(({ call }) => !mayCall(booted, user, call));
    if (odd)
      throw new Error(`${user} does not call ${odd.call}; that is for ${booted.calls[odd.call]?.by?.join(', ')}`);
  }
  return state;
}

/** May this process make this call? */
export const mayCall = ({ calls }: Booted, user: string, call: string): boolean =>
  calls[call]?.by?.includes(user) ?? true;

/** `submit(bo0, bo1)` as data. @throws when the call, or a value of a parameter, does not exist, listing what does. */
export function parseCall(booted: Booted, text: string): Call {
  const [, call, list] = /^\s*([\w.-]+)\s*\(([^()]*)\)\s*$/.exec(text) ?? [];
  if (call === undefined || list === undefined) throw new Error(`"${text}" is not a call like submit(bo0)`);
  const spec = Object.hasOwn(booted.calls, call) ? booted.calls[call] : undefined;
  if (!spec)
    throw new Error(
      `${booted.design.name} has no call "${call}"; there are: ${Object.keys(booted.calls).join(', ') || 'none'}`,
    );
  const values = list.trim() === '' ? [] : list.split(',').map((value) => value.trim());
  const params = Object.entries(spec.params);
  if (values.length !== params.length)
    throw new Error(
      `${call} takes ${params.length} arguments (${params.map(([name]) => name).join(', ')}), not ${values.length}`,
    );
  const odd = params.findIndex(([, domain], at) => !domain.includes(values[at] ?? ''));
  if (odd >= 0)
    throw new Error(
      `${call}: ${params[odd]?.[0]} cannot be "${values[odd]}"; it can be: ${params[odd]?.[1].join(', ')}`,
    );
  return { call, with: Object.fromEntries(params.map(([name], at) => [name, values[at] ?? ''])) };
}
