/**
 * The tables of TTM: devices, managers, bulk moves, and what a buffer has beyond its contents (include/drm/ttm/*.h; B1).
 *
 * They stand apart from the code because everything reads them: the contents of a buffer are in device memory or in
 * pages depending on its manager, and its reservation may be that of its VM. A buffer without a row here is one that
 * a design drives by itself (buffer.ts); then none of the rules below costs it anything.
 */
import type { KernelObject, KernelState } from '../machine.ts';
import { note } from '../machine.ts';
import { type Kept, type Kind, constant, fixedName, flag, int, maybe, name, oneOf, table, whole } from '../schema.ts';

export const PLACES = ['SWAP', 'SYSTEM', 'TT', 'VRAM', 'PRIV', 'PRIV1', 'PRIV2'] as const;
/**
 * Where a buffer may be put; PRIV and beyond mean whatever the driver says (B5.1..B5.6). No kernel has SWAP: it was
 * proposed in 2021, and a machine has it where it declares a manager of that name (`ttmsOwn`).
 */
export type Place = (typeof PLACES)[number];

const WORDS = ['DESIRED', 'FALLBACK', 'TEMPORARY', 'CONTIGUOUS', 'TOPDOWN'] as const;
/** A place and what is asked with it: 'VRAM', 'TT|TEMPORARY', 'SYSTEM|FALLBACK' (struct ttm_place, B5.8). */
export type Asked = Place | `${Place}|${(typeof WORDS)[number]}`;
export const placeIn = (asked: string): Place => asked.split('|')[0] as Place;
export const wordsIn = (asked: string): string => asked.split('|').slice(1).join(' ');
/**
 * Places in the order of preference, as the text that travels through a frame; none at all is ''.
 * @throws when a place or a word does not exist, listing what does
 */
export function placement(...places: readonly Asked[]): string {
  for (const asked of places) {
    const [place, ...words] = asked.split('|');
    if (!PLACES.includes(place as Place)) throw new Error(`unknown place "${place}"; there are: ${PLACES.join(', ')}`);
    const odd = words.find((word) => !(WORDS as readonly string[]).includes(word));
    if (odd !== undefined) throw new Error(`a place cannot be "${odd}"; it can be: ${WORDS.join(', ')}`);
  }
  return places.join(' ');
}
export const placesOf = (text: string): Asked[] => (text === '' ? [] : (text.split(' ') as Asked[]));

/** References, pins and pages that anything here can have; more is a design that never gives back. */
const MOST_REFERENCES = 15;
const MOST_PAGES = 63;
/** Fences of moves that one manager can remember: one for each copy engine (B1.4). */
export const MOST_MOVE_FENCES = 2;
/** The only device of most designs; its managers are called by their place alone. */
export const DEVICE = 'bdev';

/** First and last member of a stretch of the LRU that moves as one (B8.4). */
export interface BulkPosition {
  readonly first: string;
  readonly last: string;
}
const live: Kind<number> = { ...int(MOST_REFERENCES), empty: 1 };
const fields = {
  ttm_devices: table({
    state: oneOf('live', 'absent', 'gone'),
    /** The driver's callbacks; what an empty one means is said where it is called. */
    tt_create: fixedName('routines'),
    move: fixedName('routines'),
    evict_flags: fixedName('routines'),
    eviction_valuable: fixedName('routines'),
    swap_notify: fixedName('routines'),
    release_notify: fixedName('routines'),
    delete_mem_notify: fixedName('routines'),
    /** Up to 6.1 the managers went before the delayed deletes had run (B16.8, B17.3). */
    fini: constant<'drains first' | 'managers first'>('drains first'),
    /** May swap_notify refuse? In the kernel it returns nothing, so whatever it finds out is lost (B12.4). */
    swap_notify_may_fail: constant<boolean>(false),
    /** What an eviction says when it would have had to wait for an older transaction (B9.5): the kernel hides it. */
    on_edeadlk: constant<'-ENOSPC' | '-EDEADLK'>('-ENOSPC'),
    /** Does validate say -ENOSPC at the end, or -ENOMEM as it always did (B6.2)? */
    propagates_enospc: constant<boolean>(false),
    /** Without one, device init refuses (drivers/gpu/drm/ttm/ttm_device.c). */
    vma_manager: constant<boolean>(true),
    /** Pinned and swapped buffers, least recently used first (B8.1). */
    unevictable: whole<readonly string[]>([]),
  }),
  /** One for each device and place: `VRAM`, or `card1.VRAM` for a second device (B1.3). */
  managers: table({
    state: oneOf('used', 'unused', 'gone'),
    /** In pages; 0 is no limit. */
    size: constant<number>(0),
    /** Do buffers in here live in the pages of their tt? As the place says when left out: all do but VRAM. */
    use_tt: constant<boolean | null>(null),
    /** An allocator that always fails, and how; for tests and for faults. */
    refuses: constant<'' | '-ENOSPC' | '-ENOMEM'>(''),
    usage: int(MOST_PAGES),
    /** Least recently used first, lower priorities before higher ones; '#…' is the hitch of a walk (B8.1, B8.5). */
    lru: whole<readonly string[]>([]),
    /** Fences of moves that were still under way when their old memory was given back (B11.1). */
    move: whole<readonly string[]>([]),
    /** How many of them it can remember: one up to 6.x, one for each context later (B1.4, B11.2). */
    move_fences: constant<number>(1),
  }),
  bulk_moves: table({ positions: whole<Readonly<Record<string, BulkPosition>>>({}) }),
  /** What a buffer object has beyond its contents; the row of `bos` has the same name (B1.5). */
  ttm_bos: table({
    device: constant<string>(DEVICE),
    type: constant<'device' | 'kernel' | 'sg'>('device'),
    priority: constant<number>(0),
    /** Pages of the tt beyond those of the buffer, for compression data and the like (B3.1). */
    extra_pages: constant<number>(0),
    /** The reservation that it shares with others; its own when empty, and in the end (B16.2). */
    shares: constant<string>(''),
    individual: flag,
    kref: live,
    deleted: flag,
    pin_count: int(MOST_REFERENCES),
    bulk_move: maybe(name('bulk_moves')),
    /** The tt clears its pages when it gets them (TTM_TT_FLAG_ZERO_ALLOC). */
    zero_alloc: flag,
    /** It has an offset that user space can map (B6.1). */
    mmap_node: flag,
    /** What was asked for with its place, as words: no validate takes a TEMPORARY one for good (B5.8, B10.3). */
    placement: whole<string>(''),
    /** Resources that are not yet its own, as asked for: the target of a move, the hop on the way to it (B10.2). */
    extra: whole<readonly Asked[]>([]),
    /** Pages of a tt that are in backup; the others are still, or again, there (B3.8). */
    backed_up: int(MOST_PAGES),
    /** Copies that the device has yet to do for it, oldest first (B11.1; buffer.ts). */
    moving: whole<readonly string[]>([]),
    /** A stand-in for a buffer that has moved on: it keeps the old memory until the move is over (B11.1). */
    ghost: constant<boolean>(false),
    /** The buffer that this ghost keeps alive. */
    ghost_of: whole<string>(''),
    /** The work item that deletes it when it is still busy at the last put (B16.4). */
    delayed_delete: constant<string>(''),
  }),
  /** What all devices share: their order for swap-out, and the pages that all tts have (B12.1, B19.3). One row, `ttm`. */
  ttm_globals: table({
    devices: whole<readonly string[]>([]),
    pages_allocated: int(MOST_PAGES),
    /** Above this populate swaps out first; 0 is no limit (B3.3). */
    pages_limit: constant<number>(0),
  }),
};
export type TtmBoRow = Kept<typeof fields>['ttm_bos'][string];
export type TtmGlobalRow = Kept<typeof fields>['ttm_globals'][string];
export type ManagerRow = Kept<typeof fields>['managers'][string];
export type TtmDeviceRow = Kept<typeof fields>['ttm_devices'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

export const isTtm = (kernel: KernelState, bo: string): boolean => kernel.ttm_bos[bo] !== undefined;
export const ttmRow = (kernel: KernelState, bo: string): TtmBoRow => {
  const row = kernel.ttm_bos[bo];
  if (!row)
    throw new Error(
      `${bo} is no buffer object of TTM; there are: ${Object.keys(kernel.ttm_bos).join(', ') || 'none'} (see ttm_objects)`,
    );
  return row;
};
export const deviceOf = (kernel: KernelState, bo: string): TtmDeviceRow | undefined =>
  kernel.ttm_devices[ttmRow(kernel, bo).device];
/** The pages of its tt: those of the buffer, and a few more that the driver wants (B3.1). */
export const ttPages = (kernel: KernelState, bo: string): number =>
  (kernel.bos[bo]?.size ?? 0) + ttmRow(kernel, bo).extra_pages;
/** The name that the manager of this place has on this device. */
export const managerName = (device: string, place: Place): string => `${device || DEVICE}.${place}`;
export const managerOf = (kernel: KernelState, bo: string, place: Place): ManagerRow | undefined =>
  kernel.managers[managerName(ttmRow(kernel, bo).device, place)];
/** The reservation that protects the buffer now. */
export const resvOf = (kernel: KernelState, bo: string): string => {
  const row = kernel.ttm_bos[bo];
  return row === undefined || row.shares === '' || row.individual ? bo : row.shares;
};
/** Do the contents of a buffer in this place live in the pages of its tt? */
export const usesTt = (kernel: KernelState, bo: string, place: Place): boolean =>
  (kernel.ttm_bos[bo] && managerOf(kernel, bo, place)?.use_tt) ?? place !== 'VRAM';

/** The place whose buffers TTM swaps out as it likes (B18.1): SYSTEM, or SWAP where that was split from it. */
export const ttmsOwn = (kernel: KernelState, bo: string): Place =>
  kernel.ttm_bos[bo] && managerOf(kernel, bo, 'SWAP') ? 'SWAP' : 'SYSTEM';

/** Placement, resource, tt state and accounting do not fit together: a fact that ttm-state judges. */
export const inconsistent = (kernel: KernelState, me: string, bo: string, rule: string, what: string): void =>
  note(kernel, me, { kind: 'inconsistent', bo, rule, what });

/** A walk's hitch stands in the list; it is nobody's resource. */
export const isHitch = (entry: string): boolean => entry.startsWith('#');

export const ttm: KernelObject = { schema: fields, ops: [] };
