/**
 * User processes: they call into the kernel in the order of the workload, and owe nobody anything in between.
 *
 * What is still to be called is state, so one learned machine serves every workload. A process may be killed
 * between two calls; its exit routine then closes what it had open, as do_exit does.
 */
import {
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  type Thread,
  instruction,
  pushCall,
} from '../machine.ts';
import { type Kept, fixedName, table, whole } from '../schema.ts';
import { forever } from './flow.ts';

/** One system call with its arguments, by parameter name. */
export interface Call {
  readonly call: string;
  readonly with: Readonly<Record<string, string>>;
}
const fields = {
  users: table({
    todo: whole<readonly Call[]>([]),
    /** What runs when the process is killed; empty when killing it changes nothing. */
    exit: fixedName('routines'),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type UserRow = Kept<typeof fields>['users'][string];

/** As a person writes it: `submit(bo0, bo1)`. */
export const showCall = ({ call, with: args }: Call): string => `${call}(${Object.values(args).join(', ')})`;

const isKilled = (kernel: KernelState, user: string): boolean => kernel.fatal_signals[user]?.pending ?? false;
const next_call = instruction('next_call', (user: string) => ({ user }), {
  text: ({ user }) => `${user}, in user space`,
  rest: true,
  waits: (kernel, _me, { user }) =>
    (kernel.users[user] as UserRow).todo.length === 0 && !isKilled(kernel, user)
      ? { on: 'user', object: user, owedBy: [], because: `${user} has no more calls to make`, idle: true }
      : undefined,
  outcomes: (kernel, _me, { user }) => {
    const { todo, exit } = kernel.users[user] as UserRow;
    if (isKilled(kernel, user)) return ['killed'];
    const next = todo[0]?.call ?? '';
    return exit === '' ? [next] : [next, 'killed'];
  },
  run: (kernel, me, { user }, outcome) => {
    const row = kernel.users[user] as UserRow;
    const [first, ...rest] = row.todo as readonly [Call, ...Call[]];
    const mm = kernel.processes[user]?.mm;
    row.todo = outcome === 'killed' ? [] : rest;
    (kernel.threads[me] as Thread).ret = '0';
    if (outcome !== 'killed') pushCall(kernel, me, first.call, first.with);
    else if (mm === undefined) pushCall(kernel, me, row.exit);
    else pushCall(kernel, me, 'process_exit', { mm });
  },
});

/** Between two system calls that belong together: the program runs its own code, or does not get to; it owes nobody a turn. */
export const in_user_space = instruction('in_user_space', (what: string) => ({ what }), {
  text: ({ what }) => `/* in user space: ${what} */`,
  rest: true,
  run: (kernel, me) => {
    (kernel.threads[me] as Thread).ret = '0';
  },
});

/**
 * A user process; `exit` names the routine that runs when it is killed, `mm` its address space: with one, the OOM killer
 * may choose it (oom.ts).
 */
export const user = (options: { exit?: string; mm?: string } = {}): ThreadSpec => ({
  kind: 'user',
  begins: 'may',
  program: [forever([next_call('$me')])],
  rows: (me) => ({
    users: { [me]: { exit: options.exit ?? '' } },
    ...(options.mm === undefined
      ? {}
      : { processes: { [me]: { mm: options.mm } }, mms: { [options.mm]: {} }, fatal_signals: { [me]: {} } }),
  }),
});

export const userObject: KernelObject = { schema: fields, ops: [next_call, in_user_space] };
