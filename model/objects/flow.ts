/**
 * Control flow inside one thread: jumps, calls, variables. All local: nobody else can see it happen.
 */
import {
  type Block,
  type Frame,
  type Instruction,
  type KernelObject,
  type Operand,
  type Thread,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';

/** A condition over the last return value, or over a variable of the frame. */
interface Test {
  readonly [key: string]: Operand;
  readonly of: string;
  readonly is: readonly string[];
  /** Not worth a line in a story: a choice within one call of the kernel. */
  readonly quiet?: true;
}
const listed = (value: string | readonly string[]): readonly string[] => (typeof value === 'string' ? [value] : value);
const structured = (test: Test, then: Block, otherwise: Block): Instruction => ({
  op: 'if',
  test,
  then: then,
  otherwise: otherwise,
});

/** If the last call returned this (or one of these), then …; otherwise …. */
export const if_ret = (is: string | readonly string[], then: Block, otherwise: Block = []): Instruction =>
  structured({ of: '', is: listed(is) }, then, otherwise);
/** The same within one call of the kernel: a story does not show it. */
export const quietly_if_ret = (is: string | readonly string[], then: Block): Instruction =>
  structured({ of: '', is: listed(is), quiet: true }, then, []);
/** If the variable has this value (or one of these), then …; otherwise …. */
export const if_var = (
  variable: string,
  is: string | readonly string[],
  then: Block,
  otherwise: Block = [],
): Instruction => structured({ of: variable, is: listed(is) }, then, otherwise);
/** The same for a variable. */
export const quietly_if_var = (variable: string, is: string | readonly string[], then: Block): Instruction =>
  structured({ of: variable, is: listed(is), quiet: true }, then, []);
/** Repeat for ever; leave with goto or return_. */
export const forever = (body: Block): Instruction => ({ op: 'forever', body: body });
/** The function of a work item or timer: return_ leaves it, and who calls it goes on. */
export const handler = (body: Block): Instruction => ({ op: 'handler', body: body });
/** As long as the variable has one of these values, …. */
export const while_var = (variable: string, is: readonly string[], body: Block): Instruction => ({
  op: 'while',
  test: { of: variable, is },
  body,
});
export const label = (name: string): Instruction => ({ op: 'label', name });
export const goto = (to: string): Instruction => ({ op: 'jump', to });

const frameOf = (thread: Thread): Frame => thread.frames.at(-1) as Frame;

const jump = instruction('jump', (to: number) => ({ to }), {
  text: ({ to }) => `goto ${to}`,
  local: true,
  run: (kernel, me, { to }) => {
    frameOf(kernel.threads[me] as Thread).pc = to;
  },
});

const jump_unless = instruction('jump_unless', (test: Test, to: number) => ({ test, to }), {
  text: ({ test }) => (test.quiet ? '' : `if (${test.of === '' ? 'ret' : test.of} == ${test.is.join(' || ')})`),
  local: true,
  run: (kernel, me, { test, to }) => {
    const thread = kernel.threads[me] as Thread;
    const value = test.of === '' ? thread.ret : frameOf(thread).vars[test.of];
    if (!test.is.includes(value ?? '')) frameOf(thread).pc = to;
  },
});

/** Call a routine of the design; its variables are `vars`, and `$me`. */
export const call = instruction('call', (routine: string, vars: Record<string, string> = {}) => ({ routine, vars }), {
  text: ({ routine, vars }) =>
    `${routine}(${Object.values(vars)
      .filter((value) => value !== '')
      .join(', ')})`,
  local: true,
  run: (kernel, me, { routine, vars }) => pushCall(kernel, me, routine, vars),
});

/** Leave the routine with this value. */
export const return_ = instruction('return', (value: string) => ({ value }), {
  text: ({ value }) => `return ${value}`,
  local: true,
  run: (kernel, me, { value }) => {
    const thread = kernel.threads[me] as Thread;
    if (value !== 'ret') thread.ret = value;
    frameOf(thread).pc = Number.MAX_SAFE_INTEGER;
  },
});

/** Set a variable of the running frame; the value 'ret' means the last return value. */
export const set = instruction('set', (variable: string, value: string) => ({ variable, value }), {
  text: ({ variable, value }) => `${variable} = ${value}`,
  local: true,
  run: (kernel, me, { variable, value }) => {
    const thread = kernel.threads[me] as Thread;
    frameOf(thread).vars[variable] = value === 'ret' ? thread.ret : value;
  },
});

/** One less in a variable that holds a number: ret '0' when nothing is left of it, '1' otherwise. */
export const count_down = instruction('count_down', (variable: string) => ({ variable }), {
  text: ({ variable }) => `--${variable}`,
  local: true,
  run: (kernel, me, { variable }) => {
    const thread = kernel.threads[me] as Thread;
    const left = Math.max(0, Number(frameOf(thread).vars[variable] ?? '0') - 1);
    frameOf(thread).vars[variable] = String(left);
    returns(kernel, me, left === 0 ? '0' : '1');
  },
});

/** A step of the driver's own that only takes time: others may run before and after it. */
export const work_a_while = instruction('work_a_while', (what: string) => ({ what }), {
  text: ({ what }) => what,
  run: (kernel, me) => returns(kernel, me, '0'),
});

/** Choose one of the ways that hardware or firmware may go here, tamest first. */
export const may_go = instruction('may_go', (what: string, ways: readonly string[]) => ({ what, ways }), {
  text: ({ what }) => what,
  outcomes: (_kernel, _me, { ways }) => ways,
  run: (kernel, me, _operands, outcome) => returns(kernel, me, outcome),
});

/** The dangerous situation is here: an acquittal must have seen it. */
export const witness = instruction('witness', (name: string) => ({ name }), {
  text: ({ name }) => `/* ${name} */`,
  local: true,
  run: (kernel, me, { name }) => note(kernel, me, { kind: 'witness', name }),
});

/** The thread got something useful done: going round through here is no livelock. */
export const progress = instruction('progress', (what: string) => ({ what }), {
  text: ({ what }) => `/* ${what} */`,
  local: true,
  run: (kernel, me, { what }) => note(kernel, me, { kind: 'progress', what }),
});

export const flow: KernelObject = {
  ops: [jump, jump_unless, call, return_, set, count_down, work_a_while, may_go, witness, progress],
};
