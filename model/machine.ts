/**
 * The machine: a kernel is threads of plain-data programs, one instruction at a time.
 *
 * `reduce` is the only meaning of a step. It assigns to what it is given: an immer draft (replay, diffs), a plain
 * object (the oracle) or a recording view of packed state (the engine). It must therefore be a function of the
 * state it reads and nothing else: no clock, no random number, no memory from one step to the next.
 */
import { type Kept, type Schema, flag, table, tableOf, whole } from './schema.ts';

/** A lock, pseudo-lock or context that a thread holds, innermost last (kernel/locking/lockdep.c; rules L-12..L-14). */
export interface Held {
  readonly object: string;
  /** The lockdep class; '' when lockdep does not see it (atomic context, PF_MEMALLOC). */
  readonly class: string;
  readonly kind: 'lock' | 'signalling' | 'atomic' | 'reclaim' | 'ticket' | 'scope';
  readonly mode: 'exclusive' | 'shared';
  readonly try: boolean;
}
export interface Frame {
  routine: string;
  pc: number;
  /** Operand '$bo' means the value of bo here. */
  vars: Record<string, string>;
}
/** One thread, kept as a whole: nobody else may look inside. `frames` is a backtrace, innermost last. */
export interface Thread {
  frames: Frame[];
  /** What the last instruction or routine returned: '0', '-ENOMEM', … */
  ret: string;
  begun: boolean;
  held: Held[];
}

const fields = {
  threads: tableOf(whole<Thread>({ frames: [], ret: '0', begun: false, held: [] })),
  /** SIGKILL was sent: a row for each process that a design lets somebody kill in the middle of a call. */
  fatal_signals: table({ pending: flag }),
};
export const schema: Schema = fields;

/** The state, slice by slice; each object widens it in its own file. */
export interface Slices extends Kept<typeof fields> {}
/** What may be said of a step; each object widens it in its own file. Facts are an output, never state. */
export interface Facts {
  /** A routine ended and left `ret`; `to` is 'user' when a system call returned to user space. */
  returned: { routine: string; ret: string; to: 'caller' | 'user' | 'nobody' };
  /** The rules of a call were broken. `rule` cites the source, e.g. 'F-39'. */
  misuse: { rule: string; what: string };
  /** The design says: this situation is the dangerous one, and it was reached. */
  witness: { name: string };
  /** Something useful was done; a circle of states that contains this is no livelock of the thread. */
  progress: { what: string };
}
export type FactOf<K extends keyof Facts> = { readonly kind: K; readonly thread: string } & Readonly<Facts[K]>;
export type Fact = { [K in keyof Facts]: FactOf<K> }[keyof Facts];

/** What a kernel is at one moment; `facts` are those of the step that led here and no part of its identity. */
export interface KernelState extends Slices {
  facts: Fact[];
}

export type Operand = string | number | boolean | null | readonly Operand[] | { readonly [key: string]: Operand };
/** One line of kernel pseudo-code, as data. */
export interface Instruction {
  readonly op: string;
  readonly [operand: string]: Operand;
}
/** Kernel pseudo-code: lines, and lists of lines wherever a line may stand. */
export type Block = readonly (Instruction | Block)[];

/** Why a thread cannot go on, and who owes it the turn. */
export interface Wait {
  /** What sort of thing is waited for: 'mutex', 'fence', 'resv', 'work', … */
  readonly on: string;
  readonly object: string;
  /** The threads that must act first; empty when nobody owes it. */
  readonly owedBy: readonly string[];
  /** Reads after "because": 'ioctl holds process.lock'. */
  readonly because: string;
  /** One of the debtors is enough. */
  readonly any?: true;
  /** Nothing is missing: a worker without work, a ring without jobs. */
  readonly idle?: true;
  /** The wait ends by itself after a time, with this outcome. */
  readonly bounded?: string;
  /** A signal may end the wait, with this outcome; a fatal one does. */
  readonly interruptible?: string;
  /** Only a fatal signal ends the wait, with this outcome. */
  readonly killable?: string;
}

/** The meaning of one instruction: one home for what it does, when it must wait, and how it reads. */
export interface Op {
  /** How the line reads; '' when a story need not show it. */
  text(operands: any): string;
  waits?(kernel: KernelState, thread: string, operands: any): Wait | undefined;
  /** Ways it may go, tamest first. */
  outcomes?(kernel: KernelState, thread: string, operands: any): readonly string[];
  /** Touches nothing shared: rides with the step before it. */
  readonly local?: true;
  /** A waiter of this op is served in the end even if others keep coming: locks that hand over. */
  readonly strong?: true;
  /** Here a thread owes nobody its next step: the border between user space and the kernel. */
  readonly rest?: true;
  /** Happens because time passes: in patient time only when no fair thread can move. */
  readonly time?: true;
  /** The objects named by the operands, by slice: checked at boot. */
  touches?(operands: any): readonly (readonly [slice: string, row: string])[];
  run(kernel: KernelState, thread: string, operands: any, outcome: string): void;
}

/** What a design gives of the state at boot: rows by slice, each with the fields that do not begin empty. */
export type Rows = Readonly<Record<string, Readonly<Record<string, Row>>>>;
export type Row = Readonly<Record<string, unknown>>;

export interface ThreadSpec {
  /** `kernel` and `hardware` are fair; `timer` is fair but slow; `user` owes nothing and is owed nothing. */
  readonly kind: 'kernel' | 'hardware' | 'timer' | 'user';
  /** `must` begins; `may` possibly never. Whoever has begun is owed turns until it returns. */
  readonly begins: 'must' | 'may';
  readonly program: Block;
  /** Runs in interrupt context (CTX-I): may not sleep. */
  readonly atomic?: true;
  /** Rows that this thread brings along, by slice: the work item behind a worker, the user behind a process. */
  readonly rows?: (thread: string) => Rows;
}

export interface Machine {
  readonly ops: Readonly<Record<string, Op>>;
  readonly schema: Schema;
  /** What is left over, in words, when everything has come to rest (rule I-16). */
  readonly leftovers: (kernel: KernelState) => readonly string[];
  readonly threads: Readonly<Record<string, ThreadSpec>>;
  /** Flat programs by routine name; the program of a thread has the thread's name. */
  readonly programs: Readonly<Record<string, readonly Instruction[]>>;
  readonly boot: KernelState;
}

/** One scheduling decision: which thread moves, and which way it goes. */
export interface Action {
  readonly thread: string;
  readonly outcome: string;
}

/** How a step may come about: owed by a fair thread; possible, but never owed; or because time passes. */
export type Nature = 'owed' | 'may' | 'time';

/** What one thread can do now. The one answer enables it, draws the wait-for graph and writes the report. */
export type Open =
  | { readonly kind: 'finished' }
  | { readonly kind: 'idle'; readonly wait: Wait }
  | { readonly kind: 'blocked'; readonly wait: Wait; readonly outcomes: readonly string[] }
  | { readonly kind: 'ready'; readonly outcomes: readonly string[]; readonly nature: Nature; readonly strong: boolean };

const ONE_WAY: readonly string[] = [''];
const NO_WAY: readonly string[] = [];
/** Local instructions that may follow one another within one step; more is a design that never gets anywhere. */
const MOST_LOCAL_STEPS = 1000;

/** The instruction a thread stands at, or nothing when it has finished. */
export function standing(machine: Machine, thread: Thread): Instruction | undefined {
  const frame = thread.frames.at(-1);
  return frame && machine.programs[frame.routine]?.[frame.pc];
}

/** Operands with every '$x', nested ones too, replaced by the frame's value of x. */
export function resolved(instruction: Instruction, vars: Readonly<Record<string, string>>): Instruction {
  return mentionsVars(instruction) ? (fill(instruction, vars) as Instruction) : instruction;
}
const known = new WeakMap<Instruction, boolean>();
function mentionsVars(instruction: Instruction): boolean {
  let answer = known.get(instruction);
  if (answer === undefined) known.set(instruction, (answer = /"\$/.test(JSON.stringify(instruction))));
  return answer;
}
function fill(operand: Operand, vars: Readonly<Record<string, string>>): Operand {
  if (typeof operand === 'string') {
    if (!operand.startsWith('$')) return operand;
    const value = vars[operand.slice(1)];
    if (value === undefined)
      throw new Error(`no variable ${operand} here; there are: ${Object.keys(vars).sort().join(', ') || 'none'}`);
    return value;
  }
  if (Array.isArray(operand)) return operand.map((each: Operand) => fill(each, vars));
  if (operand === null || typeof operand !== 'object') return operand;
  return Object.fromEntries(Object.entries(operand).map(([key, value]) => [key, fill(value, vars)]));
}

function opOf(machine: Machine, instruction: Instruction): Op {
  const op = machine.ops[instruction.op];
  if (!op)
    throw new Error(
      `unknown instruction "${instruction.op}"; there are: ${Object.keys(machine.ops).sort().join(', ')}`,
    );
  return op;
}

/** A killed process owes its way out: it does not rest in user space, and its waits end if a signal can end them. */
const killed = (kernel: KernelState, me: string): boolean => kernel.fatal_signals[me]?.pending ?? false;

function natureOf(kernel: KernelState, me: string, spec: ThreadSpec, thread: Thread, op: Op): Nature {
  if (op.time) return 'time';
  if (op.rest && killed(kernel, me)) return 'owed';
  return !op.rest && (spec.begins === 'must' || thread.begun) ? 'owed' : 'may';
}

/** What `me` can do now. Reads only what decides that; never writes. */
export function open(machine: Machine, kernel: KernelState, me: string): Open {
  const thread = kernel.threads[me] as Thread;
  const instruction = standing(machine, thread);
  if (!instruction) return { kind: 'finished' };
  const op = opOf(machine, instruction);
  const operands = resolved(instruction, (thread.frames.at(-1) as Frame).vars);
  const wait = op.waits?.(kernel, me, operands);
  if (wait?.idle) return { kind: 'idle', wait };
  if (wait) {
    const fatal = wait.interruptible ?? wait.killable;
    if (fatal !== undefined && killed(kernel, me))
      return { kind: 'ready', outcomes: [fatal], nature: 'owed', strong: false };
    const ends = [wait.bounded, wait.interruptible].filter((way) => way !== undefined);
    return { kind: 'blocked', wait, outcomes: ends.length > 0 ? ends : NO_WAY };
  }
  const outcomes = op.outcomes?.(kernel, me, operands) ?? ONE_WAY;
  const spec = machine.threads[me] as ThreadSpec;
  return { kind: 'ready', outcomes, nature: natureOf(kernel, me, spec, thread, op), strong: op.strong === true };
}

/**
 * One step of one thread: the instruction it stands at, then the returns and local instructions that follow.
 * Assigns to `kernel`; the facts of the step are in `kernel.facts` afterwards.
 * @throws when the thread has finished or an instruction is unknown; a driver's mistake is a fact, never a throw.
 */
export function reduce(machine: Machine, kernel: KernelState, { thread: me, outcome }: Action): void {
  kernel.facts = [];
  const thread = kernel.threads[me] as Thread;
  const instruction = standing(machine, thread);
  if (!instruction) throw new Error(`${me} has finished and cannot take a step`);
  execute(machine, kernel, me, thread, instruction, outcome);
  thread.begun = true;
  settle(machine, kernel, me);
}

function execute(
  machine: Machine,
  kernel: KernelState,
  me: string,
  thread: Thread,
  instruction: Instruction,
  outcome: string,
): void {
  const frame = thread.frames.at(-1) as Frame;
  const operands = resolved(instruction, frame.vars);
  frame.pc += 1;
  opOf(machine, instruction).run(kernel, me, operands, outcome);
}

/** Return from finished frames and run local instructions until the thread stands at a real decision. */
export function settle(machine: Machine, kernel: KernelState, me: string): void {
  const thread = kernel.threads[me] as Thread;
  const spec = machine.threads[me] as ThreadSpec;
  for (let steps = 0; steps < MOST_LOCAL_STEPS; steps += 1) {
    const frame = thread.frames.at(-1) as Frame;
    const instruction = machine.programs[frame.routine]?.[frame.pc];
    if (!instruction) {
      const to =
        thread.frames.length === 1 ? 'nobody' : spec.kind === 'user' && thread.frames.length === 2 ? 'user' : 'caller';
      if (to !== 'caller') leaving(kernel, me, thread, to);
      note(kernel, me, { kind: 'returned', routine: frame.routine, ret: thread.ret, to });
      thread.frames.pop();
      if (to !== 'caller') thread.ret = '0'; // nobody reads it any more: states that differ only here are equal
      if (to === 'user') thread.begun = false;
      if (to === 'nobody') return;
    } else if (opOf(machine, instruction).local) {
      execute(machine, kernel, me, thread, instruction, '');
    } else {
      return;
    }
  }
  throw new Error(
    `${me}: ${MOST_LOCAL_STEPS} local instructions in a row in ${(thread.frames.at(-1) as Frame).routine}; a loop needs an instruction that others can see`,
  );
}

/** Nobody leaves the kernel with a lock, a section or an atomic context still open (kernel/entry, lockdep_sys_exit). */
function leaving(kernel: KernelState, me: string, thread: Thread, to: 'user' | 'nobody'): void {
  const left = thread.held.filter((held) => held.kind !== 'atomic');
  if (left.length === 0) return;
  const names = left.map((held) => held.object).join(', ');
  const end = to === 'user' ? 'returns to user space' : 'ends';
  complain(kernel, me, 'I-16', `${me} ${end} still holding ${names}`);
}

type Said = { [K in keyof Facts]: { readonly kind: K } & Readonly<Facts[K]> }[keyof Facts];
/** Say what happened in this step. */
export function note(kernel: KernelState, me: string, fact: Said): void {
  kernel.facts.push({ ...fact, thread: me });
}

/** Say that a rule was broken, and how: a driver's mistake. */
export function complain(kernel: KernelState, me: string, rule: string, what: string): void {
  note(kernel, me, { kind: 'misuse', rule, what });
}

/** Push a call onto the running thread's own stack: reclaim, notifiers, callbacks, interrupts, routines. */
export function pushCall(
  kernel: KernelState,
  me: string,
  routine: string,
  vars: Readonly<Record<string, string>> = {},
): void {
  (kernel.threads[me] as Thread).frames.push({ routine, pc: 0, vars: { me, ...vars } });
}

/** Execute the current instruction again at this thread's next turn. */
export function stay(kernel: KernelState, me: string): void {
  ((kernel.threads[me] as Thread).frames.at(-1) as Frame).pc -= 1;
}

export function returns(kernel: KernelState, me: string, ret: string): void {
  (kernel.threads[me] as Thread).ret = ret;
}

/** An instruction builder that carries its own meaning: `mutex_lock('a')` is data, `mutex_lock.op` is what it does. */
export type Builder<A extends readonly unknown[]> = ((...args: A) => Instruction) & {
  readonly opName: string;
  readonly op: Op;
};

const WRITING = Symbol.for('fenceproof.writing');
/**
 * Told of every line as a design writes it, while somebody wants to know where; no part of what the line means. One for
 * all copies of this module in a process: a user's file may come with one of its own.
 */
export const writing: { heard?: (line: Instruction) => void } = ((globalThis as { [WRITING]?: object })[WRITING] ??=
  {});

/** Declare an instruction: its kernel name, how a design writes it, and what it means. */
export function instruction<A extends readonly unknown[], O extends Record<string, Operand | undefined>>(
  opName: string,
  operands: (...args: A) => O,
  op: {
    text(operands: NoInfer<O>): string;
    waits?(kernel: KernelState, thread: string, operands: NoInfer<O>): Wait | undefined;
    outcomes?(kernel: KernelState, thread: string, operands: NoInfer<O>): readonly string[];
    readonly local?: true;
    readonly strong?: true;
    readonly rest?: true;
    readonly time?: true;
    touches?(operands: NoInfer<O>): readonly (readonly [slice: string, row: string])[];
    run(kernel: KernelState, thread: string, operands: NoInfer<O>, outcome: string): void;
  },
): Builder<A> {
  const build = (...args: A): Instruction => {
    const given = Object.entries(operands(...args)).filter(([, value]) => value !== undefined);
    const line: Instruction = { op: opName, ...Object.fromEntries(given) };
    writing.heard?.(line);
    return line;
  };
  return Object.assign(build, { opName, op: op });
}

/** One file of `objects/`: part of the schema, some instructions, and routines that they call. */
export interface KernelObject {
  /** Tables only: of an object that a design does not use there are no rows, so it has no part in the state. */
  readonly schema?: Schema;
  readonly ops: readonly { readonly opName: string; readonly op: Op }[];
  readonly routines?: Readonly<Record<string, Block>>;
  /** Rows that come along with a line that stands in some program, by slice. */
  readonly brings?: (line: Instruction) => Rows;
  /**
   * Names of which a machine has one, however many drivers boot on it; and what becomes of a row when two of them speak
   * of it. Without that they must agree.
   */
  readonly one?: Readonly<Record<string, ((one: Row, other: Row) => Row) | undefined>>;
  /** What of this object is left over, in words, when everything has come to rest (rule I-16). */
  readonly leftovers?: (kernel: KernelState) => readonly string[];
}
