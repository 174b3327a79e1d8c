/**
 * The pages of a buffer and their life: created without pages, populated, swapped, in backup page by page, destroyed
 * (drivers/gpu/drm/ttm/ttm_tt.c, ttm_pool.c; B3, A7).
 *
 * Populate is where memory is asked for: it counts its pages first, and while TTM as a whole has too many it swaps out
 * others, of any device. That is why a buffer of one driver may be moved by a system call of another (B12.7).
 */
import { type Block, type KernelObject, type Thread, instruction, note, returns } from '../machine.ts';
import { boRow } from './buffer.ts';
import { countPages, freePages, populate } from './buffer-pages.ts';
import { call, goto, if_ret, label, return_, set } from './flow.ts';
import { kmalloc } from './memory.ts';
import { poolFree } from './page-pool.ts';
import { deviceOf, ttPages, ttmRow } from './ttm.ts';
import { ttm_hook } from './ttm-hooks.ts';
import { changeEvictability, mustReserve, onTtmBo } from './ttm-lru.ts';

/** The flags of an operation (struct ttm_operation_ctx), as words: 'no_wait_gpu interruptible' (B1.7). */
export type Ctx = string;
export const ctxHas = (ctx: Ctx, word: string): boolean => ctx.split(' ').includes(word);

/** What an operation of TTM may say when it did not do what it was asked to. */
export const ERRORS = ['-EBUSY', '-EDEADLK', '-EINVAL', '-ENOENT', '-ENOMEM', '-ENOSPC', '-ERESTARTSYS'] as const;

/** Does it need a tt made? ret 'there', '-EINVAL' for a type that nobody knows, 'ask' when the driver makes it, or 'make'. */
const tt_wanted = instruction('ttm_tt_wanted', (bo: string) => ({ bo }), {
  text: ({ bo }) => `if (!${bo}->ttm)`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    mustReserve(kernel, me, bo, 'ttm_tt_create');
    const known = ['device', 'kernel', 'sg'].includes(ttmRow(kernel, bo).type);
    const there = boRow(kernel, bo).tt !== 'none';
    const asks = (deviceOf(kernel, bo)?.tt_create ?? '') !== '';
    returns(kernel, me, there ? 'there' : !known ? '-EINVAL' : asks ? 'ask' : 'make');
  },
});
const tt_init = instruction('ttm_tt_init', (bo: string, zero: string) => ({ bo, zero }), {
  text: ({ bo }) => `ttm_tt_init(${bo}->ttm)`,
  touches: onTtmBo,
  run: (kernel, me, { bo, zero }) => {
    boRow(kernel, bo).tt = 'limbo';
    ttmRow(kernel, bo).zero_alloc = zero === 'yes' && ttmRow(kernel, bo).type === 'device';
    returns(kernel, me, '0');
  },
});
/** Make the tt, without pages; `zero`: they shall be cleared when they come, if it is for user space (B3.1). */
export const ttm_tt_create = (bo: string, zero: 'yes' | 'no' | '$zero' = 'no'): Block => [
  call('ttm_tt_create', { bo, zero }),
];
/** Any state to none at all: pages freed, the copy in swap dropped, what it held is gone (B3.11). */
export const ttm_tt_destroy = instruction('ttm_tt_destroy', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_tt_destroy(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => destroyTt(kernel, me, bo),
});
export function destroyTt(kernel: Parameters<typeof boRow>[0], me: string, bo: string): void {
  const row = boRow(kernel, bo);
  if (row.tt === 'none') return;
  const destroy = (): void => {
    if (row.tt === 'populated') freePages(kernel, me, bo, 'limbo');
    else poolFree(kernel, bo);
    Object.assign(row, { tt: 'none', swap: null });
    Object.assign(ttmRow(kernel, bo), { zero_alloc: false, backed_up: 0 });
  };
  if (row.tt === 'swapped' || row.tt === 'backed_up') changeEvictability(kernel, me, bo, destroy);
  else destroy();
}

/** What is to be done for its pages: ret '0' nothing, 'get', or 'restore' when they are in backup. Counts them (B3.2). */
const populate_begin = instruction('ttm_tt_populate_begin', (bo: string) => ({ bo }), {
  text: ({ bo }) => `atomic_long_add(${bo}->ttm->num_pages, &ttm_pages_allocated)`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    mustReserve(kernel, me, bo, 'ttm_bo_populate');
    const { tt } = boRow(kernel, bo);
    if (tt === 'none' || tt === 'populated') return returns(kernel, me, '0');
    countPages(kernel, bo, 'more');
    returns(kernel, me, tt === 'backed_up' ? 'restore' : 'get');
  },
});
/** ret '1' while TTM has more pages than it may. */
const over_limit = instruction('ttm_pages_over_limit', (bo: string) => ({ bo }), {
  text: () => 'while (ttm_pages_allocated > ttm_pages_limit)',
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const all = kernel.ttm_globals['ttm'];
    const over = all !== undefined && all.pages_limit > 0 && all.pages_allocated > all.pages_limit;
    returns(kernel, me, over && ttmRow(kernel, bo).type !== 'sg' ? '1' : '0');
  },
});
const populate_undo = instruction('ttm_tt_populate_undo', (bo: string, ret: string) => ({ bo, ret }), {
  text: ({ bo }) => `atomic_long_sub(${bo}->ttm->num_pages, &ttm_pages_allocated)`,
  touches: onTtmBo,
  run: (kernel, me, { bo, ret }) => {
    countPages(kernel, bo, 'less');
    returns(kernel, me, ret);
  },
});
/** The pages come, those from swap with their contents; a read from swap may fail and then the copy stays (B3.6, A7.5). */
const get_pages = instruction('ttm_tt_get_pages', (bo: string, ctx: Ctx) => ({ bo, ctx }), {
  text: ({ bo }) => `ttm_pool_alloc(${bo}->ttm)`,
  touches: onTtmBo,
  outcomes: (kernel, _me, { bo, ctx }) =>
    boRow(kernel, bo).tt === 'swapped' || ctxHas(ctx, 'gfp_retry_mayfail') ? ['ok', 'fails'] : ['ok'],
  run: (kernel, me, { bo }, outcome) => {
    if (outcome === 'fails') return returns(kernel, me, '-ENOMEM');
    countPages(kernel, bo, 'less'); // they were counted ahead, and populate counts them again
    const get = (): void => populate(kernel, me, bo);
    if (boRow(kernel, bo).tt === 'swapped') changeEvictability(kernel, me, bo, get);
    else get();
    returns(kernel, me, '0');
  },
});
/** One page back from backup: ret 'more', '0' after the last, '-ENOMEM' and nothing is lost (B3.10). */
const restore_page = instruction('ttm_pool_restore_page', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_backup_copy_page(${bo}->ttm)`,
  touches: onTtmBo,
  outcomes: () => ['ok', 'fails'],
  run: (kernel, me, { bo }, outcome) => {
    const row = ttmRow(kernel, bo);
    if (outcome === 'fails') return returns(kernel, me, '-ENOMEM');
    row.backed_up -= 1;
    if (row.backed_up > 0) return returns(kernel, me, 'more');
    countPages(kernel, bo, 'less');
    changeEvictability(kernel, me, bo, () => populate(kernel, me, bo));
    returns(kernel, me, '0');
  },
});
/** Give the buffer its pages, within the limit if others can be swapped out (B3.2, B3.7). ret '0' or the error. */
export const ttm_bo_populate = (bo: string, ctx: Ctx = ''): Block => [call('ttm_bo_populate', { bo, ctx })];

/** The copy is complete: the pages go, and nobody evicts it any more. ret their number (B3.5, B12.3). */
export const ttm_tt_swap_finish = instruction('ttm_tt_swap_finish', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_unpopulate(${bo}->ttm) /* and keeps the copy */`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { tt, swap } = boRow(kernel, bo);
    if (tt === 'populated' && swap !== null)
      changeEvictability(kernel, me, bo, () => freePages(kernel, me, bo, 'swapped'));
    returns(kernel, me, String(ttPages(kernel, bo)));
  },
});

/** One page to backup and freed: ret 'more', '0' after the last, '-ENOMEM' and what was done stays done (B3.8, A7.4). */
export const ttm_pool_backup_page = instruction('ttm_pool_backup_page', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_backup_backup_page(${bo}->ttm)`,
  touches: onTtmBo,
  outcomes: () => ['ok', 'fails'],
  run: (kernel, me, { bo }, outcome) => {
    const row = ttmRow(kernel, bo);
    const contents = boRow(kernel, bo);
    if (outcome === 'fails') return returns(kernel, me, '-ENOMEM');
    if (contents.tt === 'populated') {
      contents.swap = contents.pages;
      changeEvictability(kernel, me, bo, () => freePages(kernel, me, bo, 'backed_up'));
    }
    row.backed_up += 1;
    returns(kernel, me, row.backed_up < ttPages(kernel, bo) ? 'more' : '0');
  },
});
/** Page by page to backup, freeing each: ret how many it managed, or the error when none (B3.8). */
export const ttm_tt_backup = (bo: string): Block => [call('ttm_tt_backup', { bo })];
/** How many of its pages are in backup: ret, which stays when there are none. */
export const ttm_tt_backed_up = instruction('ttm_tt_backed_up', (bo: string) => ({ bo }), {
  text: ({ bo }) => `the pages of ${bo} in backup`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { backed_up: pages } = ttmRow(kernel, bo);
    returns(kernel, me, pages > 0 ? String(pages) : (kernel.threads[me] as Thread).ret);
  },
});
/** Free the pages of a buffer whose contents nobody wants any more: they are gone by design. ret their number (B3.9). */
export const ttm_tt_purge = instruction('ttm_tt_purge', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_backup(${bo}->ttm, purge)`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const row = boRow(kernel, bo);
    if (row.tt !== 'populated') return returns(kernel, me, '0');
    freePages(kernel, me, bo, 'limbo');
    row.expected = 'zero';
    note(kernel, me, { kind: 'progress', what: `${bo} is purged` });
    returns(kernel, me, String(ttPages(kernel, bo)));
  },
});

export const ttmTt: KernelObject = {
  ops: [
    tt_wanted,
    tt_init,
    ttm_tt_destroy,
    populate_begin,
    over_limit,
    populate_undo,
    get_pages,
    restore_page,
    ttm_tt_swap_finish,
    ttm_pool_backup_page,
    ttm_tt_backed_up,
    ttm_tt_purge,
  ],
  routines: {
    ttm_tt_create: [
      tt_wanted('$bo'),
      if_ret('there', [return_('0')]),
      if_ret('-EINVAL', [return_('-EINVAL')]),
      if_ret('ask', [ttm_hook('$bo', 'tt_create'), if_ret('NULL', [return_('-ENOMEM')])]),
      kmalloc('GFP_KERNEL', 'ttm->pages'),
      tt_init('$bo', '$zero'),
    ],
    ttm_bo_populate: [
      populate_begin('$bo'),
      if_ret('0', [return_('0')]),
      if_ret('restore', [goto('restore')]),
      label('limit'),
      over_limit('$bo'),
      if_ret('1', [
        call('ttm_global_swapout', { ctx: '$ctx' }),
        // Nothing found: over the limit or not, go on. An error: undo. Otherwise look again.
        if_ret('0', [goto('get')]),
        if_ret(ERRORS, [set('error', 'ret'), populate_undo('$bo', '$error'), return_('ret')]),
        goto('limit'),
      ]),
      label('get'),
      kmalloc('GFP_KERNEL', 'pages'),
      get_pages('$bo', '$ctx'),
      if_ret('0', [return_('0')]),
      populate_undo('$bo', '-ENOMEM'),
      return_('ret'),
      label('restore'),
      kmalloc('GFP_KERNEL', 'page'),
      restore_page('$bo'),
      if_ret('more', [goto('restore')]),
      if_ret('0', [return_('0')]),
      populate_undo('$bo', '-ENOMEM'),
      return_('ret'),
    ],
    ttm_tt_backup: [
      label('next'),
      kmalloc('GFP_KERNEL', 'page'),
      ttm_pool_backup_page('$bo'),
      if_ret('more', [goto('next')]),
      ttm_tt_backed_up('$bo'),
    ],
  },
};
