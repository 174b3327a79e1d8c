/**
 * Atomic commits: one frame on its way to the screen (drivers/gpu/drm/drm_atomic_helper.c, drm_atomic_uapi.c; D4).
 *
 * Before the swap a commit may still fail, so everything that may fail happens there: it allocates, stalls on the commits
 * before it, collects the fences of its framebuffer. After the swap it can only go on: its tail waits for the fences,
 * then for the commit before on the same CRTC, programs the hardware, and waits for the flip. The flip is the hardware's:
 * an interrupt that completes the out-fence. Three completions tell others how far it is: hw_done, flip_done and
 * cleanup_done. They are not fences: memory management never waits for one.
 *
 * A commit is a name from a pool that the design declares, and is used again once it is cleaned up. The modeset locks are
 * locks like others, and the design's.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  type Wait,
  complain,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, maybe, name, table, whole } from '../schema.ts';
import { might_sleep } from './context.ts';
import { armFirst } from './fence-callback.ts';
import { dma_fence_set_error, dma_fence_signal } from './fence-signal.ts';
import { mightWait } from './fence-wait.ts';
import { dma_fence_init, fencesWait, passPromise, pending, publish } from './fence.ts';
import { forever, quietly_if_ret } from './flow.ts';
import { kmalloc } from './memory.ts';
import { pendingFences } from './resv.ts';

const fields = {
  crtcs: table({
    /** Commits that were swapped in and not cleaned up, oldest first. */
    commits: whole<readonly string[]>([]),
    /** The commit that was programmed and is not on the screen yet. */
    latched: maybe(name('crtc_commits')),
    may_hang: constant<boolean>(false),
    hung: flag,
  }),
  crtc_commits: table({
    crtc: fixedName('crtcs'),
    /** The buffer that it shows; its fences are those of the reservation of that name. */
    fb: fixedName('resvs'),
    /** The fence that user space gets for the flip; none when it asks for none. */
    out_fence: fixedName('fences'),
    /** IN_FENCE_FD: it replaces implicit sync, except for the kernel's own moves (D4.5). */
    in_fence: maybe(name('fences')),
    /** plane_state->fence: what the tail will wait for. */
    fences: whole<readonly string[]>([]),
    /** What it must wait for: what stood there when the commit began, collected or not. */
    must: whole<readonly string[]>([]),
    /** From set-up to clean-up. */
    live: flag,
    swapped: flag,
    programmed: flag,
    hw_done: flag,
    flip_done: flag,
    cleanup_done: flag,
    /** The commit that it follows on its CRTC. */
    after: maybe(name('crtc_commits')),
    /** Who runs its tail. */
    by: maybe(name('threads')),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** A frame is on the screen. */
    flipped: { crtc: string; commit: string };
  }
}
type CommitRow = Kept<typeof fields>['crtc_commits'][string];
type CrtcRow = Kept<typeof fields>['crtcs'][string];
const commitRow = (kernel: KernelState, commit: string): CommitRow => kernel.crtc_commits[commit] as CommitRow;
const crtcRow = (kernel: KernelState, crtc: string): CrtcRow => kernel.crtcs[crtc] as CrtcRow;
const onCommit = ({ commit }: { commit: string }): [['crtc_commits', string]] => [['crtc_commits', commit]];

type Completion = 'hw_done' | 'flip_done' | 'cleanup_done';
/** Why a completion of this commit cannot be waited out now: its tail owes it, or the hardware, once it was programmed. */
function completionWait(
  kernel: KernelState,
  commit: string | null | undefined,
  which: Completion,
  how: Partial<Wait>,
): Wait | undefined {
  if (commit === null || commit === undefined) return undefined;
  const row = commitRow(kernel, commit);
  if (!row.live || row[which]) return undefined;
  const by = which === 'flip_done' && row.programmed ? row.crtc : row.by;
  return {
    on: 'commit',
    object: `${commit}->${which}`,
    owedBy: by === null ? [] : [by],
    because: `${by} has yet to complete ${which} of ${commit}`,
    ...how,
  };
}
/** Ten seconds: then it says so in the log, and goes on (D4.2, D4.3). */
const TEN_SECONDS = { bounded: 'times out' } as const;
const INTERRUPTIBLE = { interruptible: 'interrupted' } as const;

/** IN_FENCE_FD: user space says what the commit shall wait for. */
export const drm_atomic_set_in_fence = instruction(
  'drm_atomic_set_in_fence',
  (commit: string, fence: string) => ({ commit, fence }),
  {
    text: ({ commit, fence }) => `${commit}.IN_FENCE_FD = ${fence}`,
    touches: ({ commit, fence }) => [
      ['crtc_commits', commit],
      ['fences', fence],
    ],
    run: (kernel, _me, { commit, fence }) => {
      commitRow(kernel, commit).in_fence = fence;
    },
  },
);
/** What stands in the way of showing the buffer: writers, or with an explicit fence that one and the kernel's moves. */
function inTheWay(kernel: KernelState, commit: string): string[] {
  const { fb, in_fence } = commitRow(kernel, commit);
  const implicit = fb === '' ? [] : pendingFences(kernel, fb, in_fence === null ? 'WRITE' : 'KERNEL');
  return [...new Set([...implicit, ...(in_fence !== null && pending(kernel, in_fence) ? [in_fence] : [])])];
}

const setup_commit = instruction('setup_commit', (commit: string, nonblock: boolean) => ({ commit, nonblock }), {
  text: ({ commit, nonblock }) => `drm_atomic_helper_setup_commit(${commit}, ${nonblock})`,
  touches: onCommit,
  waits: (kernel, _me, { commit, nonblock }) => {
    const { commits } = crtcRow(kernel, commitRow(kernel, commit).crtc);
    if (refused(kernel, commits, nonblock)) return undefined;
    return completionWait(kernel, commits.at(-2), 'cleanup_done', { ...INTERRUPTIBLE, ...TEN_SECONDS });
  },
  run: (kernel, me, { commit, nonblock }, outcome) => {
    const row = commitRow(kernel, commit);
    might_sleep(kernel, me, 'drm_atomic_helper_setup_commit');
    if (outcome === 'interrupted') return returns(kernel, me, '-ERESTARTSYS');
    if (refused(kernel, crtcRow(kernel, row.crtc).commits, nonblock)) return returns(kernel, me, '-EBUSY');
    if (row.live) complain(kernel, me, 'D4.1', `${me} sets ${commit} up again before it was cleaned up`);
    // What still pointed to it meant the commit of that name that is over.
    for (const other of Object.values(kernel.crtc_commits)) if (other.after === commit) other.after = null;
    const crtc = crtcRow(kernel, row.crtc);
    if (crtc.latched === commit) crtc.latched = null;
    const none = { swapped: false, programmed: false, hw_done: false, flip_done: false, cleanup_done: false };
    Object.assign(row, none, { live: true, fences: [], must: inTheWay(kernel, commit), after: null, by: me });
    returns(kernel, me, '0');
  },
});
/** A nonblocking commit does not queue behind a flip that is not over (D4.2). */
const refused = (kernel: KernelState, commits: readonly string[], nonblock: boolean): boolean => {
  const newest = commits.at(-1);
  return nonblock && newest !== undefined && !commitRow(kernel, newest).flip_done;
};
/**
 * Make the commit, and stall on those before it: ret '0'; '-EBUSY' when a nonblocking one would overtake a flip;
 * '-ERESTARTSYS', or '-ENOMEM' (D4.1, D4.2).
 */
export const drm_atomic_helper_setup_commit = (commit: string, how: 'blocking' | 'nonblocking'): Block => [
  kmalloc('GFP_KERNEL', 'commit'),
  quietly_if_ret('0', [setup_commit(commit, how === 'nonblocking')]),
];

const collect_fences = instruction('drm_gem_plane_helper_prepare_fb', (commit: string) => ({ commit }), {
  text: ({ commit }) => `drm_gem_plane_helper_prepare_fb(${commit})`,
  touches: onCommit,
  run: (kernel, me, { commit }) => {
    commitRow(kernel, commit).fences = inTheWay(kernel, commit);
    returns(kernel, me, '0');
  },
});
/** Take the fences that are in the way into plane_state->fence: no reservation is needed for them later (D4.5). */
export const drm_atomic_helper_prepare_planes = (commit: string): Block => [
  kmalloc('GFP_KERNEL', 'plane_state->fence'),
  quietly_if_ret('0', [collect_fences(commit)]),
];

/** Wait for plane_state->fence: before the swap a signal ends it, after it nothing does (D4.1, D4.3). */
export const drm_atomic_helper_wait_for_fences = instruction(
  'drm_atomic_helper_wait_for_fences',
  (commit: string, pre_swap: boolean = false) => ({ commit, pre_swap }),
  {
    text: ({ commit, pre_swap }) => `drm_atomic_helper_wait_for_fences(${commit}, ${pre_swap})`,
    touches: onCommit,
    waits: (kernel, _me, { commit, pre_swap }) =>
      fencesWait(kernel, commitRow(kernel, commit).fences, pre_swap ? INTERRUPTIBLE : {}),
    run: (kernel, me, { commit }, outcome) => {
      const { fences } = commitRow(kernel, commit);
      if (outcome === '' && armFirst(kernel, me, fences)) return;
      mightWait(kernel, me, fences, 'drm_atomic_helper_wait_for_fences');
      returns(kernel, me, outcome === 'interrupted' ? '-ERESTARTSYS' : '0');
    },
  },
);

/** The point of no return: from here `by` runs the tail. Stalls on hw_done of the commit before; ret '0' or '-ERESTARTSYS'. */
export const drm_atomic_helper_swap_state = instruction(
  'drm_atomic_helper_swap_state',
  (commit: string, by: string = '$me', stall: boolean = true) => ({ commit, by, stall }),
  {
    text: ({ commit, stall }) => `drm_atomic_helper_swap_state(${commit}, ${stall})`,
    touches: ({ commit, by }) => [
      ['crtc_commits', commit],
      ['threads', by],
    ],
    waits: (kernel, _me, { commit, stall }) => {
      const { commits } = crtcRow(kernel, commitRow(kernel, commit).crtc);
      return stall ? completionWait(kernel, commits.at(-1), 'hw_done', INTERRUPTIBLE) : undefined;
    },
    run: (kernel, me, { commit, by }, outcome) => {
      if (outcome === 'interrupted') return returns(kernel, me, '-ERESTARTSYS');
      const row = commitRow(kernel, commit);
      const crtc = crtcRow(kernel, row.crtc);
      if (!row.live || row.swapped) complain(kernel, me, 'D4.1', `${me} swaps ${commit} in without having set it up`);
      Object.assign(row, { swapped: true, after: crtc.commits.at(-1) ?? null, by });
      crtc.commits = [...crtc.commits, commit];
      if (row.out_fence !== '') passPromise(kernel, row.out_fence, by);
      returns(kernel, me, '0');
    },
  },
);
/** Give a commit up before the swap: nobody will hear of it again (D4.1). */
export const drm_atomic_helper_abort_commit = instruction(
  'drm_atomic_helper_abort_commit',
  (commit: string) => ({ commit }),
  {
    text: ({ commit }) => `drm_atomic_state_put(${commit})`,
    touches: onCommit,
    run: (kernel, me, { commit }) => {
      const row = commitRow(kernel, commit);
      if (row.swapped) complain(kernel, me, 'D4.1', `${me} gives ${commit} up after the swap`);
      else Object.assign(row, { live: false, by: null, in_fence: null, fences: [], must: [] });
    },
  },
);

const init_out_fence = instruction('setup_out_fence', (commit: string) => ({ commit }), {
  text: ({ commit }) => `setup_out_fence(${commit})`,
  touches: onCommit,
  run: (kernel, me, { commit }) => {
    const { out_fence } = commitRow(kernel, commit);
    dma_fence_init.op.run(kernel, me, { fence: out_fence, by: me }, '');
  },
});
/** Make the out-fence, before the commit: this is where it may allocate (D4.6). */
export const drm_atomic_prepare_signaling = (commit: string): Block => [
  kmalloc('GFP_KERNEL', 'out_fence'),
  quietly_if_ret('0', [init_out_fence(commit)]),
];
/** The ioctl ends: the descriptor is installed; or the commit failed, and nobody ever sees the fence (D4.6). */
export const drm_atomic_complete_signaling = instruction(
  'drm_atomic_complete_signaling',
  (commit: string, install: boolean) => ({ commit, install }),
  {
    text: ({ commit, install }) => (install ? `fd_install(out_fence of ${commit})` : `put the out_fence of ${commit}`),
    touches: onCommit,
    run: (kernel, me, { commit, install }) => {
      const { out_fence } = commitRow(kernel, commit);
      if (install) return publish(kernel, me, out_fence);
      if (!pending(kernel, out_fence)) return;
      dma_fence_set_error.op.run(kernel, me, { fence: out_fence, error: '-ECANCELED' }, '');
      pushCall(kernel, me, 'crtc_event', { fence: out_fence });
    },
  },
);

/** Wait for the commit before on this CRTC: hw_done, then flip_done, ten seconds each; after that it goes on (D4.3). */
const dependency = (which: Completion) =>
  instruction(`wait_for_dependency_${which}`, (commit: string) => ({ commit }), {
    text: ({ commit }) => `drm_atomic_helper_wait_for_dependencies(${commit}) /* ${which} */`,
    touches: onCommit,
    waits: (kernel, _me, { commit }) => completionWait(kernel, commitRow(kernel, commit).after, which, TEN_SECONDS),
    run: (kernel, me) => might_sleep(kernel, me, 'drm_atomic_helper_wait_for_dependencies'),
  });
const previous_hw_done = dependency('hw_done');
const previous_flip_done = dependency('flip_done');
export const drm_atomic_helper_wait_for_dependencies = (commit: string): Block => [
  previous_hw_done(commit),
  previous_flip_done(commit),
];

/** Program the hardware. What it had to wait for is over, and so is the commit before it on this CRTC (S-D4). */
export const drm_atomic_helper_commit_planes = instruction(
  'drm_atomic_helper_commit_planes',
  (commit: string) => ({ commit }),
  {
    text: ({ commit }) => `drm_atomic_helper_commit_planes(${commit})`,
    touches: onCommit,
    run: (kernel, me, { commit }) => {
      const row = commitRow(kernel, commit);
      const crtc = crtcRow(kernel, row.crtc);
      const before = row.after === null ? undefined : commitRow(kernel, row.after);
      if (!row.swapped) complain(kernel, me, 'D4.1', `${me} programs ${commit} before the swap`);
      if ((before?.live && !before.hw_done) || (crtc.latched !== null && crtc.latched !== commit))
        complain(kernel, me, 'S-D4', `${commit} overtakes ${crtc.latched ?? row.after} on ${row.crtc}`);
      const missed = row.must.filter((fence) => pending(kernel, fence));
      note(kernel, me, { kind: 'starts', job: commit, resv: row.fb, missed });
      crtc.latched = commit;
      row.programmed = true;
      if (row.out_fence !== '') passPromise(kernel, row.out_fence, row.crtc);
    },
  },
);
/** Nobody looks at the old state any more: the next commit may be swapped in. */
export const drm_atomic_helper_commit_hw_done = instruction(
  'drm_atomic_helper_commit_hw_done',
  (commit: string) => ({ commit }),
  {
    text: ({ commit }) => `drm_atomic_helper_commit_hw_done(${commit})`,
    touches: onCommit,
    run: (kernel, _me, { commit }) => {
      commitRow(kernel, commit).hw_done = true;
    },
  },
);
/** Wait for the flip, ten seconds: ret '0' or '-ETIME' (D4.3). */
export const drm_atomic_helper_wait_for_flip_done = instruction(
  'drm_atomic_helper_wait_for_flip_done',
  (commit: string) => ({ commit }),
  {
    text: ({ commit }) => `drm_atomic_helper_wait_for_flip_done(${commit})`,
    touches: onCommit,
    waits: (kernel, _me, { commit }) => completionWait(kernel, commit, 'flip_done', TEN_SECONDS),
    run: (kernel, me, _operands, outcome) => {
      might_sleep(kernel, me, 'drm_atomic_helper_wait_for_flip_done');
      returns(kernel, me, outcome === 'times out' ? '-ETIME' : '0');
    },
  },
);
/** The commit is over: its buffers are unpinned, its name is free. */
export const drm_atomic_helper_commit_cleanup_done = instruction(
  'drm_atomic_helper_commit_cleanup_done',
  (commit: string) => ({ commit }),
  {
    text: ({ commit }) => `drm_atomic_helper_commit_cleanup_done(${commit})`,
    touches: onCommit,
    run: (kernel, me, { commit }) => {
      const row = commitRow(kernel, commit);
      const crtc = crtcRow(kernel, row.crtc);
      if (!row.hw_done) complain(kernel, me, 'D4.3', `${me} cleans ${commit} up before hw_done`);
      crtc.commits = crtc.commits.filter((each) => each !== commit);
      Object.assign(row, { live: false, cleanup_done: true, by: null, in_fence: null, fences: [], must: [] });
      note(kernel, me, { kind: 'progress', what: `${commit} is over` });
    },
  },
);
/** The tail as the helpers write it: no lock of anybody's, no memory (D4.3, D4.4, D4.6). */
export const drm_atomic_helper_commit_tail = (commit: string): Block => [
  drm_atomic_helper_wait_for_fences(commit),
  drm_atomic_helper_wait_for_dependencies(commit),
  drm_atomic_helper_commit_planes(commit),
  drm_atomic_helper_commit_hw_done(commit),
  drm_atomic_helper_wait_for_flip_done(commit),
  drm_atomic_helper_commit_cleanup_done(commit),
];

function flip(kernel: KernelState, me: string, crtc: string): void {
  const row = crtcRow(kernel, crtc);
  const commit = row.latched;
  if (commit === null) return;
  const { out_fence } = commitRow(kernel, commit);
  row.latched = null;
  commitRow(kernel, commit).flip_done = true;
  note(kernel, me, { kind: 'flipped', crtc, commit });
  note(kernel, me, { kind: 'progress', what: `${commit} is on the screen` });
  if (out_fence !== '') pushCall(kernel, me, 'crtc_event', { fence: out_fence });
}
const vblank = instruction('vblank', (crtc: string) => ({ crtc }), {
  text: ({ crtc }) => `vblank of ${crtc}`,
  waits: (kernel, _me, { crtc }) => {
    const { latched, hung } = crtcRow(kernel, crtc);
    if (latched === null)
      return { on: 'crtc', object: crtc, owedBy: [], because: `${crtc} has nothing new`, idle: true };
    return hung ? { on: 'crtc', object: crtc, owedBy: [], because: `${crtc} is stuck in ${latched}` } : undefined;
  },
  outcomes: (kernel, _me, { crtc }) => (crtcRow(kernel, crtc).may_hang ? ['flips', 'gets stuck'] : ['flips']),
  run: (kernel, me, { crtc }, outcome) => {
    if (outcome === 'gets stuck') crtcRow(kernel, crtc).hung = true;
    else flip(kernel, me, crtc);
  },
});
/** Finish the flip that is pending without the hardware: what a reset owes to those who wait for it (D2.5). */
export const drm_crtc_complete_flip = instruction('drm_crtc_complete_flip', (crtc: string) => ({ crtc }), {
  text: ({ crtc }) => `drm_crtc_send_vblank_event(${crtc})`,
  touches: ({ crtc }) => [['crtcs', crtc]],
  run: (kernel, me, { crtc }) => {
    crtcRow(kernel, crtc).hung = false;
    flip(kernel, me, crtc);
  },
});

/** A CRTC as a thread of hardware: it shows what was programmed, at its vblank, and its event runs in an interrupt (D4.7). */
export const crtc = (options: { may_hang?: boolean } = {}): ThreadSpec => ({
  kind: 'hardware',
  begins: 'must',
  atomic: true,
  program: [forever([vblank('$me')])],
  rows: (me) => ({ crtcs: { [me]: { may_hang: options.may_hang ?? false } } }),
});

export const display: KernelObject = {
  schema: fields,
  ops: [
    drm_atomic_set_in_fence,
    setup_commit,
    collect_fences,
    drm_atomic_helper_wait_for_fences,
    drm_atomic_helper_swap_state,
    drm_atomic_helper_abort_commit,
    init_out_fence,
    drm_atomic_complete_signaling,
    previous_hw_done,
    previous_flip_done,
    drm_atomic_helper_commit_planes,
    drm_atomic_helper_commit_hw_done,
    drm_atomic_helper_wait_for_flip_done,
    drm_atomic_helper_commit_cleanup_done,
    vblank,
    drm_crtc_complete_flip,
  ],
  routines: { crtc_event: [dma_fence_signal('$fence')] },
  leftovers: (kernel) =>
    Object.entries(kernel.crtc_commits).flatMap(([each, { live }]) => (live ? [`${each} was never cleaned up`] : [])),
};
