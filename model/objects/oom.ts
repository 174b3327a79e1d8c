/**
 * The OOM killer: what happens when reclaim finds nothing (mm/oom_kill.c; rules A1.2, A1.12, A6).
 *
 * Opt in: a process with an address space, `user({ mm: 'mm' })`, may be killed for its memory, which is that of the
 * ranges of the address space, and comes back when the first of them is reaped or when the process exits. Where there is
 * such a process, every small allocation with direct reclaim may find no memory. It then waits for a victim, and nothing
 * else gives memory back: not counting memory, that is the worst case. When every process has been killed and none can
 * give its memory back, the kernel would panic; here whoever waits, waits for those that cannot exit.
 */
import {
  type KernelObject,
  type KernelState,
  type Wait,
  instruction,
  note,
  pushCall,
  returns,
  stay,
} from '../machine.ts';
import { type Kept, fixedName, flag, oneOf, table } from '../schema.ts';
import type { Gfp } from './gfp.ts';

const fields = {
  processes: table({
    mm: fixedName('mms'),
    /** As long as somebody is 'the victim', nobody else is chosen; 'skipped' is over with, one way or the other (A6.4, A6.5). */
    oom: oneOf('spared', 'the victim', 'skipped'),
    /** Its memory, or the first part of it, has come back. */
    freed: flag,
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type Process = Kept<typeof fields>['processes'][string];
export const processRow = (kernel: KernelState, process: string): Process => kernel.processes[process] as Process;
const processesThat = (kernel: KernelState, are: (row: Process) => boolean): string[] =>
  Object.keys(kernel.processes).filter((each) => are(processRow(kernel, each)));
export const oomVictims = (kernel: KernelState): string[] => processesThat(kernel, ({ oom }) => oom === 'the victim');
const dying = (kernel: KernelState): string[] =>
  processesThat(kernel, ({ oom, freed }) => oom === 'the victim' && !freed);
const hopeless = (kernel: KernelState): string[] =>
  processesThat(kernel, ({ oom, freed }) => oom === 'skipped' && !freed);
const freed = (kernel: KernelState): number => processesThat(kernel, (row) => row.freed).length;
/** Was this task killed for its memory? Then it has the reserves, and its allocations may fail (A1.2, A6.1). */
export const isOomVictim = (kernel: KernelState, me: string): boolean =>
  (kernel.processes[me]?.oom ?? 'spared') !== 'spared';

/** Whom the killer may choose now; only an allocation that may enter file systems calls it (A1.12, A6.5). */
const candidates = (kernel: KernelState, gfp: Gfp): string[] => {
  const mayKill = gfp === 'GFP_KERNEL' && oomVictims(kernel).length === 0;
  return mayKill ? processesThat(kernel, (row) => row.oom === 'spared' && !row.freed) : [];
};
const NO_MEMORY = 'finds no memory';
/** The ways an allocation may go in which reclaim makes no progress (A1.11). */
export function noProgress(kernel: KernelState, me: string, gfp: Gfp): string[] {
  if (isOomVictim(kernel, me)) return [];
  const kills = candidates(kernel, gfp).map((each) => `kills ${each}`);
  if (kills.length > 0) return kills;
  return dying(kernel).length + hopeless(kernel).length > 0 ? [NO_MEMORY] : [];
}
/** Send SIGKILL, and let the reaper at its memory (A6.1). */
function kill(kernel: KernelState, me: string, process: string): void {
  processRow(kernel, process).oom = 'the victim';
  (kernel.fatal_signals[process] as { pending: boolean }).pending = true;
  note(kernel, me, { kind: 'witness', name: `the OOM killer kills ${process}` });
}
/** One of these ways was taken: the allocator goes round until memory has come back. */
export function outOfMemory(kernel: KernelState, me: string, gfp: Gfp, noFail: boolean, outcome: string): void {
  if (outcome !== NO_MEMORY) kill(kernel, me, outcome.slice('kills '.length));
  pushCall(kernel, me, 'alloc_slowpath', { gfp, since: String(freed(kernel)), noFail: noFail ? 'yes' : 'no' });
}

const alloc_retry = instruction('alloc_retry', (gfp: Gfp, since: string, noFail: string) => ({ gfp, since, noFail }), {
  text: ({ gfp }) => `__alloc_pages_slowpath(${gfp})`,
  waits: (kernel, me, { gfp, since }): Wait | undefined => {
    if (freed(kernel) > Number(since) || isOomVictim(kernel, me) || candidates(kernel, gfp).length > 0)
      return undefined;
    // Whoever of them exits gives memory back; while the reaper is at one, it may, or let another be chosen.
    const [now, stuck] = [dying(kernel), hopeless(kernel)];
    const reapers = oomVictims(kernel).length > 0 ? Object.keys(kernel.oom_reapers) : [];
    return {
      on: 'memory',
      object: 'memory',
      owedBy: [...now, ...stuck, ...reapers],
      any: true,
      because:
        now.length > 0
          ? `there is no memory until ${now.join(' or ')} exits or is reaped`
          : `nobody else can be killed now, and ${stuck.join(' and ')} does not exit`,
    };
  },
  outcomes: (kernel, me, { gfp, since, noFail }) => {
    if (freed(kernel) > Number(since)) return ['ok'];
    if (isOomVictim(kernel, me)) return noFail === 'yes' ? ['ok'] : ['ok', 'fails'];
    return candidates(kernel, gfp).map((each) => `kills ${each}`);
  },
  run: (kernel, me, _operands, outcome) => {
    returns(kernel, me, outcome === 'fails' ? '-ENOMEM' : '0');
    if (outcome === 'ok' || outcome === 'fails') return;
    kill(kernel, me, outcome.slice('kills '.length));
    stay(kernel, me);
  },
});

export const oom: KernelObject = {
  schema: fields,
  ops: [alloc_retry],
  routines: { alloc_slowpath: [alloc_retry('$gfp' as Gfp, '$since', '$noFail')] },
};
