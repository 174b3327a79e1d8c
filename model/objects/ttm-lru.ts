/**
 * In what order buffers would be taken away: LRU lists, the unevictable list, bulk moves, and walks along a list
 * (drivers/gpu/drm/ttm/ttm_resource.c; B8).
 *
 * Every list is a plain list of buffers, least recently used first; the hitch of a walk stands among them. All of this
 * happens under the LRU spinlock, hence in one step each.
 */
import { type KernelObject, type KernelState, type Thread, complain, instruction } from '../machine.ts';
import { holds } from './context.ts';
import {
  type BulkPosition,
  type ManagerRow,
  type Place,
  inconsistent,
  deviceOf,
  isHitch,
  managerName,
  managerOf,
  resvOf,
  ttmRow,
} from './ttm.ts';

export const onTtmBo = ({ bo }: { bo: string }): [['ttm_bos', string]] => [['ttm_bos', bo]];
export const placeOf = (kernel: KernelState, bo: string): Place | null => kernel.bos[bo]?.place ?? null;
const without = (list: readonly string[], one: string): string[] => list.filter((each) => each !== one);

/** The reservation must be held for whatever changes a buffer (B1.5, B6.2). */
export function mustReserve(kernel: KernelState, me: string, bo: string, call: string): void {
  if (!holds(kernel, me, resvOf(kernel, bo)))
    complain(kernel, me, 'B1.5', `${call} without holding the reservation of ${bo}`);
}

/** Are the contents of the tt somewhere else: in swap, or in backup (B3)? */
const isSwapped = (kernel: KernelState, bo: string): boolean =>
  ['swapped', 'backed_up'].includes(kernel.bos[bo]?.tt ?? '');
/** Nobody may evict it: it is pinned, or this is the resource that its swapped tt belongs to (B8.1, S-B9). */
export const isUnevictable = (kernel: KernelState, bo: string, place: Place): boolean =>
  ttmRow(kernel, bo).pin_count > 0 || (place === placeOf(kernel, bo) && isSwapped(kernel, bo));

/** At the tail of the entries of its own priority; lower priorities are evicted first. */
function appended(kernel: KernelState, lru: readonly string[], bo: string): string[] {
  const { priority } = ttmRow(kernel, bo);
  const higher = lru.findIndex((each) => !isHitch(each) && ttmRow(kernel, each).priority > priority);
  return higher < 0 ? [...lru, bo] : lru.toSpliced(higher, 0, bo);
}

// Bulk moves: a stretch of one LRU, from first to last (B8.4).

const positionKey = (kernel: KernelState, bo: string, place: Place): string => {
  const { device, priority } = ttmRow(kernel, bo);
  return `${managerName(device, place)}/${priority}`;
};
function setPosition(kernel: KernelState, bo: string, place: Place, position: BulkPosition | undefined): void {
  const bulk = kernel.bulk_moves[ttmRow(kernel, bo).bulk_move as string];
  if (!bulk) return;
  const key = positionKey(kernel, bo, place);
  const others = Object.entries(bulk.positions).filter(([each]) => each !== key);
  bulk.positions = Object.fromEntries(position ? [...others, [key, position]] : others);
}
const positionOf = (kernel: KernelState, bo: string, place: Place): BulkPosition | undefined =>
  kernel.bulk_moves[ttmRow(kernel, bo).bulk_move ?? '']?.positions[positionKey(kernel, bo, place)];
/** The next or the previous resource on the list, hitches skipped. */
function neighbour(lru: readonly string[], bo: string, step: 1 | -1): string {
  let at = lru.indexOf(bo) + step;
  while (isHitch(lru[at] ?? '')) at += step;
  return lru[at] as string;
}
/** Right behind the last member, which it is from now on. */
function toBulkTail(kernel: KernelState, bo: string, place: Place, manager: ManagerRow, position: BulkPosition): void {
  if (position.last === bo) return;
  const first = position.first === bo ? neighbour(manager.lru, bo, 1) : position.first;
  const rest = without(manager.lru, bo);
  manager.lru = rest.toSpliced(rest.indexOf(position.last) + 1, 0, bo);
  setPosition(kernel, bo, place, { first, last: bo });
}
export function addToBulk(kernel: KernelState, me: string, bo: string, place: Place): void {
  const manager = managerOf(kernel, bo, place);
  if (ttmRow(kernel, bo).bulk_move === null || !manager || isUnevictable(kernel, bo, place)) return;
  const position = positionOf(kernel, bo, place);
  if (!position) return setPosition(kernel, bo, place, { first: bo, last: bo });
  if (resvOf(kernel, position.first) !== resvOf(kernel, bo))
    inconsistent(
      kernel,
      me,
      bo,
      'S-B10',
      `${bo} joins a bulk move of buffers that have another reservation than its own`,
    );
  toBulkTail(kernel, bo, place, manager, position);
}
export function removeFromBulk(kernel: KernelState, bo: string, place: Place): void {
  const manager = managerOf(kernel, bo, place);
  const position = positionOf(kernel, bo, place);
  if (!manager || !position || isUnevictable(kernel, bo, place)) return;
  const { first, last } = position;
  if (first === bo && last === bo) setPosition(kernel, bo, place, undefined);
  else if (first === bo) setPosition(kernel, bo, place, { first: neighbour(manager.lru, bo, 1), last });
  else if (last === bo) setPosition(kernel, bo, place, { first, last: neighbour(manager.lru, bo, -1) });
  else {
    const rest = without(manager.lru, bo);
    manager.lru = rest.toSpliced(rest.indexOf(last) + 1, 0, bo);
  }
}

// The lists.

/** A buffer that moves within one manager stands there twice; its own resource is the older one. */
export function takeOff(kernel: KernelState, bo: string, place: Place, which: 'own' | 'extra' = 'own'): void {
  const manager = managerOf(kernel, bo, place);
  const at = (which === 'own' ? manager?.lru.indexOf(bo) : manager?.lru.lastIndexOf(bo)) ?? -1;
  if (manager && at >= 0) manager.lru = manager.lru.toSpliced(at, 1);
  else {
    const device = deviceOf(kernel, bo);
    if (device) device.unevictable = without(device.unevictable, bo);
  }
}
export function putOn(kernel: KernelState, bo: string, place: Place): void {
  const device = deviceOf(kernel, bo);
  const manager = managerOf(kernel, bo, place);
  if (isUnevictable(kernel, bo, place)) {
    if (device) device.unevictable = [...device.unevictable, bo];
  } else if (manager) manager.lru = appended(kernel, manager.lru, bo);
}
/** Used just now: to the tail of its bulk move, of its LRU, or of the unevictable list (B8.2, B8.3). */
export function moveToLruTail(kernel: KernelState, bo: string): void {
  const place = placeOf(kernel, bo);
  if (place === null) return;
  const manager = managerOf(kernel, bo, place);
  const position = isUnevictable(kernel, bo, place) ? undefined : positionOf(kernel, bo, place);
  if (position && manager) return toBulkTail(kernel, bo, place, manager, position);
  takeOff(kernel, bo, place);
  putOn(kernel, bo, place);
}
/** Whether it may be evicted is about to change: leave the bulk move before, change, and stand where it now belongs. */
export function changeEvictability(kernel: KernelState, me: string, bo: string, change: () => void): void {
  const place = placeOf(kernel, bo);
  if (place !== null) removeFromBulk(kernel, bo, place);
  if (place !== null) takeOff(kernel, bo, place);
  change();
  if (place === null) return;
  putOn(kernel, bo, place);
  addToBulk(kernel, me, bo, place);
}

/** Used just now (B8.2); ttm_bo_unreserve does it too. */
export const ttm_bo_move_to_lru_tail = instruction('ttm_bo_move_to_lru_tail', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_move_to_lru_tail(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    mustReserve(kernel, me, bo, 'ttm_bo_move_to_lru_tail');
    moveToLruTail(kernel, bo);
  },
});
/** Join this bulk move, or leave the one it is in when it is 'none' (B8.4). */
export const ttm_bo_set_bulk_move = instruction('ttm_bo_set_bulk_move', (bo: string, bulk: string) => ({ bo, bulk }), {
  text: ({ bo, bulk }) => `ttm_bo_set_bulk_move(${bo}, ${bulk === 'none' ? 'NULL' : bulk})`,
  touches: ({ bo, bulk }) => [['ttm_bos', bo], ...(bulk === 'none' ? [] : [['bulk_moves', bulk] as const])],
  run: (kernel, me, { bo, bulk }) => {
    mustReserve(kernel, me, bo, 'ttm_bo_set_bulk_move');
    const row = ttmRow(kernel, bo);
    const to = bulk === 'none' ? null : bulk;
    if (row.bulk_move === to) return;
    const place = placeOf(kernel, bo);
    if (place !== null) removeFromBulk(kernel, bo, place);
    row.bulk_move = to;
    if (place !== null) addToBulk(kernel, me, bo, place);
  },
});
/** The whole stretch to the tail at once; a walk that stands inside stays behind, and meets it again later (B8.5). */
export const ttm_lru_bulk_move_tail = instruction('ttm_lru_bulk_move_tail', (bulk: string) => ({ bulk }), {
  text: ({ bulk }) => `ttm_lru_bulk_move_tail(&${bulk})`,
  touches: ({ bulk }) => [['bulk_moves', bulk]],
  run: (kernel, me, { bulk }) => {
    for (const [key, { first, last }] of Object.entries(kernel.bulk_moves[bulk]?.positions ?? {})) {
      const manager = kernel.managers[key.slice(0, key.lastIndexOf('/'))] as ManagerRow;
      mustReserve(kernel, me, first, 'ttm_lru_bulk_move_tail');
      mustReserve(kernel, me, last, 'ttm_lru_bulk_move_tail');
      const stretch = manager.lru.slice(manager.lru.indexOf(first), manager.lru.indexOf(last) + 1);
      const members = stretch.filter((each) => !isHitch(each));
      const at = manager.lru.indexOf(first);
      const rest = manager.lru.toSpliced(at, stretch.length, ...stretch.filter(isHitch));
      manager.lru = members.reduce<string[]>((lru, member) => appended(kernel, lru, member), rest);
    }
  },
});

// Walking: the hitch of a walk stands behind the buffer it looked at last (B8.5, B8.6).

/** Unique for each walk: a thread that walks inside a walk has another depth. */
const hitchOf = (kernel: KernelState, me: string): string => `#${me}.${(kernel.threads[me] as Thread).frames.length}`;
/** The buffers still ahead of this walk, in order. */
export function ahead(kernel: KernelState, me: string, manager: ManagerRow): string[] {
  const at = manager.lru.indexOf(hitchOf(kernel, me));
  return manager.lru.slice(at + 1).filter((each) => !isHitch(each));
}
/** The walk has looked at this one; the next one is behind it. */
export function passHitch(kernel: KernelState, me: string, manager: ManagerRow, bo: string): void {
  const hitch = hitchOf(kernel, me);
  const rest = without(manager.lru, hitch);
  manager.lru = rest.toSpliced(rest.indexOf(bo) + 1, 0, hitch);
}
export function dropHitch(kernel: KernelState, me: string, manager: ManagerRow): void {
  const hitch = hitchOf(kernel, me);
  if (manager.lru.includes(hitch)) manager.lru = without(manager.lru, hitch);
}

export const ttmLru: KernelObject = { ops: [ttm_bo_move_to_lru_tail, ttm_bo_set_bulk_move, ttm_lru_bulk_move_tail] };
