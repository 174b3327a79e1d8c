/**
 * The facts that the kernel's own tests and documents assert of these objects: which there are, and which of them the
 * model deliberately leaves out, and why.
 *
 * A fact is tested by a test, or a group of tests, whose title begins with its id: 'S12: …', 'LD-3: …', 'KUNIT-17: …',
 * 'IGT sw_sync/sync_merge: …', 'I-4: …', 'S-A1: …', 'E1.9: …', 'MISUSE add-container: …'. CONFORMANCE.md is the table of
 * them; `npm run conformance` runs the tests and writes it, and a test fails when the table says something else than the
 * titles and the list below.
 */

const numbered = (prefix: string, to: number): string[] => Array.from({ length: to }, (_, at) => `${prefix}${at + 1}`);
const igt = (file: string, ...names: readonly string[]): string[] => names.map((name) => `IGT ${file}/${name}`);

/** Where facts come from, and the ids of all of them, in the order of the table. */
export const SOURCES: readonly { readonly title: string; readonly ids: readonly string[] }[] = [
  {
    title: 'Self-tests of dma_fence, chain, unwrap and dma_resv (drivers/dma-buf/st-dma-*.c)',
    ids: numbered('S', 88),
  },
  {
    title: 'Reports that lockdep must and must not give (drivers/dma-buf/dma-fence.c, dma-resv.c)',
    ids: numbered('LD-', 18),
  },
  {
    title: 'KUnit tests of TTM and of the scheduler (drivers/gpu/drm/{ttm,scheduler}/tests)',
    ids: numbered('KUNIT-', 92),
  },
  {
    title: 'User-space tests (igt-gpu-tools)',
    ids: [
      ...igt(
        'sw_sync',
        'alloc_timeline',
        'alloc_fence',
        'alloc_fence_invalid_timeline',
        'timeline_closed',
        'timeline_closed_signaled',
        'alloc_merge_fence',
        'sync_busy',
        'sync_busy_fork',
        'sync_busy_fork_unixsocket',
        'sync_merge_invalid',
        'sync_merge',
        'sync_merge_same',
        'sync_multi_timeline_wait',
        'sync_multi_consumer',
        'sync_multi_consumer_producer',
        'sync_multi_producer_single_consumer',
        'sync_expired_merge',
        'sync_random_merge',
      ),
      ...igt(
        'syncobj_basic',
        'bad-destroy',
        'bad-handle-to-fd',
        'bad-fd-to-handle',
        'illegal-fd-to-handle',
        'bad-create-flags',
        'bad-flags',
        'bad-pad',
        'create-signaled',
        'test-valid-cycle',
      ),
      ...igt(
        'syncobj_wait',
        'table-never-submitted',
        'table-any-one-signaled',
        'table-any-none-signaled',
        'table-all-one-missing',
        'table-all-signaled',
        'invalid-wait-bad-flags',
        'wait-zero-handles',
        'invalid-wait-illegal-handle',
        'invalid-reset',
        'invalid-signal',
        'bad-pad',
        'one-illegal-handle',
        'single-wait',
        'multi-wait',
        'wait-delayed-signal',
        'wait-for-submit-delayed-submit',
        'wait-all-delayed',
        'reset-unsignaled',
        'reset-signaled',
        'reset-multiple-signaled',
        'reset-during-wait-for-submit',
        'signal',
        'wait-snapshot',
        'wait-complex',
        'wait-interrupted',
      ),
      ...igt(
        'syncobj_timeline',
        'table',
        'available',
        'invalid-query',
        'invalid-signal',
        'invalid-transfer',
        'bad-pad',
        'signal-array',
        'transfer-timeline-point',
        'signal-point-0',
        'host-signal-points',
        'device-signal-unordered',
        'device-submit-unordered',
        'host-signal-ordered',
        '32bits-limit',
      ),
      ...igt(
        'syncobj_eventfd',
        'invalid-bad-flags',
        'invalid-illegal-handle',
        'invalid-illegal-eventfd',
        'invalid-bad-pad',
        'wait',
        'wait-before-signal',
        'wait-signaled',
      ),
    ],
  },
  {
    title: 'Checklists of reset and display (S-D) and user queues (S-G)',
    ids: [...numbered('S-D', 4), ...numbered('S-G', 4)],
  },
  {
    title:
      'What eviction, preemption and page faults demand (drivers/gpu/drm/xe, drivers/gpu/drm/amd/amdkfd, drivers/gpu/drm/drm_gpusvm.c)',
    ids: [
      ...['E1.3', 'E1.4', 'E1.5', 'E1.6', 'E1.7', 'E1.8', 'E1.9', 'E1.10', 'E1.11', 'E1.12', 'E1.13'],
      ...['E3.1', 'E3.8', 'E4.3', 'E4.4', 'E4.5', 'E4.8', 'E4.9', 'E5.1', 'E5.5', 'E5.7', 'E6.4'],
      ...['E7.1', 'E7.2', 'E7.3', 'E7.5', 'E7.6', 'E7.7', 'E8.1', 'E8.4', 'E8.5', 'E8.6', 'E8.8'],
      ...['E9.2', 'E9.3', 'E9.4'],
    ],
  },
  { title: 'Invariants', ids: numbered('I-', 16) },
  {
    title: 'Checklists of TTM (S-B, L-B) and of the scheduler (S-C, L-C)',
    ids: [...numbered('S-B', 10), ...numbered('L-B', 2), ...numbered('S-C', 9), ...numbered('L-C', 1)],
  },
  {
    title: 'Misuses that must be convicted, and their tame twins acquitted',
    ids: [
      'signal-forgotten',
      'set_error-after-signal',
      'double-context-engine',
      'wait-in-callback',
      'same-lock-op-in-callback',
      'last-reference-in-callback',
      'GFP_KERNEL-after-publish',
      'GFP_NOFS-after-publish',
      'GFP_NOIO-after-publish',
      'resv-lock-in-completion-worker',
      'copy_from_user-under-resv',
      'get_user_pages-under-resv',
      'resv-lock-in-mmu-notifier',
      'sleep-in-non-blockable-notifier',
      'two-NULL-ctx-resvs',
      'second-ww-context',
      'relock-other-lock-after-EDEADLK',
      'keep-locks-after-EDEADLK',
      'add-without-reserve',
      'add-after-unlock',
      'over-cumulative-reserve',
      'add-container',
      'bogus-replace',
      'wait-only-READ-before-evict',
      'forget-fence-on-one-of-several-resvs',
      'map-without-resv',
      'begin_cpu_access-with-resv',
      'static-importer-ignoring-KERNEL',
      'move-while-pinned',
      'no-notify-before-move',
      'importer-callback-locking-resv',
      'unbounded-pin-by-userspace',
      'future-fence-published',
      'proxy-fence-published',
      'user-fence-published',
      'fallback-timer',
      'end-of-batch-fence-for-long-running',
      'faulting-job-with-fence',
      'resume-worker-inside-signalling-section',
      'timeout-handler-allocating',
      'timeout-handler-locking-resv',
      'concurrent-resets',
      'wait-on-own-dependency-chain',
      'missed-recheck-after-wake-up',
    ].map((operator) => `MISUSE ${operator}`),
  },
  {
    title: 'Checklists of memory management and of userptr (mm/page_alloc.c, mm/mmu_notifier.c, mm/oom_kill.c)',
    ids: [...numbered('S-A', 6), ...numbered('L-A', 2), ...numbered('S-F', 3)],
  },
];

/** A fact that no test claims, and the mechanism that the model leaves out, on purpose or so far. */
export interface LeftOut {
  readonly id: string;
  readonly why: string;
}
const each = (ids: readonly string[], why: string): LeftOut[] => ids.map((id) => ({ id, why }));
const PADDING = 'the layout of system call arguments is not modelled, so there is no padding to be wrong';
const DESCRIPTORS =
  'descriptors and handles are names: there is no table in which the same object gets a second number';

export const LEFT_OUT: readonly LeftOut[] = [
  ...each(
    ['IGT sw_sync/sync_busy_fork_unixsocket'],
    'how a descriptor gets to another process is not modelled; every process can name every file',
  ),
  ...each(
    [
      'IGT syncobj_basic/bad-handle-to-fd',
      'IGT syncobj_basic/bad-fd-to-handle',
      'IGT syncobj_basic/illegal-fd-to-handle',
      'IGT syncobj_basic/test-valid-cycle',
    ],
    DESCRIPTORS,
  ),
  ...each(
    ['IGT syncobj_basic/bad-flags'],
    'the calls between handles and descriptors, whose flags these are, are not modelled',
  ),
  ...each(
    [
      'IGT syncobj_basic/bad-pad',
      'IGT syncobj_wait/bad-pad',
      'IGT syncobj_timeline/bad-pad',
      'IGT syncobj_eventfd/invalid-bad-pad',
    ],
    PADDING,
  ),
  ...each(
    ['E1.6', 'E4.8', 'E8.6'],
    'what a driver does when it meets a state that somebody else made: a routine of the design, with nothing for an object to add',
  ),
  ...each(
    ['E1.11'],
    'the private copy of a reservation that a freed buffer keeps has all its fences; none is left out of it',
  ),
  ...each(
    ['E4.9'],
    'how long a queue may run before it is preempted again is a length of time, and time has no length here',
  ),
  ...each(
    ['E7.6'],
    'the acknowledgement of a flush has a path of its own by construction: no thread of a design can delay it',
  ),
  ...each(['E9.4'], 'pages of a process have no frame numbers, so there is no migration that names them by number'),
];

/** A fact as a title states it. */
export interface Stated {
  readonly id: string;
  readonly says: string;
}
const ID = String.raw`S\d+|[SL]-[A-H]\d+|E\d\.\d+|LD-\d+|KUNIT-\d+|I-\d+|MISUSE [\w-]+|IGT \w+/[\w-]+`;
const LISTED = new RegExp(`^((?:${ID})(?:(?:, |\\.\\.)(?:${ID}))*): (.+)$`, 's');
/** 'S-B2..S-B4' is S-B2, S-B3, S-B4. */
function range(text: string): string[] {
  const [from = '', to] = text.split('..');
  if (to === undefined) return [from];
  const numbered = (id: string): [string, number] => [id.replace(/\d+$/, ''), Number(/\d+$/.exec(id)?.[0])];
  const [name, first] = numbered(from);
  return Array.from({ length: numbered(to)[1] - first + 1 }, (_, at) => `${name}${first + at}`);
}
/** The facts that a title states: the one that it begins with, or a list of them with one claim. */
export function stated(title: string): Stated[] {
  const [, ids, says] = LISTED.exec(title) ?? [];
  if (ids === undefined || says === undefined) return [];
  return ids.split(', ').flatMap((each) => range(each).map((id) => ({ id, says })));
}
/** The facts stated by the titles in the text of a test file. */
export const statedIn = (source: string): Stated[] =>
  [...source.matchAll(/\b(?:test|describe)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs)].flatMap(([, , title]) =>
    stated((title as string).replace(/\\(.)/g, '$1')),
  );

/** What is wrong with the facts as they are stated: claimed twice, unknown, both tested and left out, or neither. */
export function wrongWith(facts: readonly Stated[], leftOut: readonly LeftOut[] = LEFT_OUT): string[] {
  const all = SOURCES.flatMap(({ ids }) => ids);
  const tested = facts.map(({ id }) => id);
  const out = leftOut.map(({ id }) => id);
  const twice = (ids: readonly string[]): string[] => [...new Set(ids.filter((id, at) => ids.indexOf(id) !== at))];
  return [
    ...twice(tested).map((id) => `${id} is claimed by more than one test`),
    ...twice(out).map((id) => `${id} is left out twice`),
    ...[...new Set([...tested, ...out])].filter((id) => !all.includes(id)).map((id) => `there is no fact ${id}`),
    ...out.filter((id) => tested.includes(id)).map((id) => `${id} is tested, and left out`),
    ...all
      .filter((id) => !tested.includes(id) && !out.includes(id))
      .map((id) => `${id} is neither tested nor left out`),
  ];
}

/** A row of the table: a fact, the test that claims it, and whether it passed. */
export interface Row extends Stated {
  readonly file: string;
  readonly passed: boolean;
}
const cell = (text: string): string => text.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ');
/** The table as it stands in CONFORMANCE.md. */
export function showTable(rows: readonly Row[], leftOut: readonly LeftOut[] = LEFT_OUT): string {
  const known = new Map(rows.map((row) => [row.id, row]));
  const passed = rows.filter((row) => row.passed).length;
  const tables = SOURCES.map(({ title, ids }) => {
    const lines = ids.flatMap((id) => {
      const row = known.get(id);
      return row ? [`| ${id} | ${cell(row.says)} | ${row.file} | ${row.passed ? 'yes' : 'NO'} |`] : [];
    });
    return `## ${title}\n\n| fact | test | in | passed |\n|---|---|---|---|\n${lines.join('\n')}\n`;
  });
  const left = leftOut.map(({ id, why }) => `| ${id} | ${cell(why)} |`).join('\n');
  return [
    '# What the model is tested against\n',
    'Written by `npm run conformance` from the titles of the tests and from `model/conformance.ts`; a test fails when it is stale.\n',
    `${rows.length} facts tested, ${passed} passed, ${leftOut.length} left out.\n`,
    ...tables,
    `## Left out, and why\n\n| fact | the mechanism that is not modelled |\n|---|---|\n${left}\n`,
  ].join('\n');
}
/** The facts and the left-out ones that a table names, without its verdicts: what must agree with the titles. */
export const namedIn = (table: string): string[] =>
  table
    .split('\n')
    .filter((line) => new RegExp(`^\\| (${ID}) \\| `).test(line))
    .map((line) => line.replace(/ \| (yes|NO) \|$/, ' |'));
