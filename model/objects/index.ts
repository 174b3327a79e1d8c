/** The kernel objects there are; one file each. A new object is a new file and its name here. */
import type { KernelObject } from '../machine.ts';
import { adversaryObject } from './adversary.ts';
import { buffer } from './buffer.ts';
import { bufferMove } from './buffer-move.ts';
import { bufferPages } from './buffer-pages.ts';
import { client } from './client.ts';
import { context } from './context.ts';
import { dmaBuf } from './dma-buf.ts';
import { dmaBufAttach } from './dma-buf-attach.ts';
import { dmaBufMap } from './dma-buf-map.ts';
import { dmaBufMove } from './dma-buf-move.ts';
import { dmaBufAccess } from './dma-buf-access.ts';
import { display } from './display.ts';
import { engine } from './engine.ts';
import { eviction } from './eviction.ts';
import { fence } from './fence.ts';
import { fenceCallback } from './fence-callback.ts';
import { fenceLock } from './fence-lock.ts';
import { fenceSignal } from './fence-signal.ts';
import { fenceSignalling } from './fence-signalling.ts';
import { fenceWait } from './fence-wait.ts';
import { fenceArray } from './fence-array.ts';
import { fenceChain } from './fence-chain.ts';
import { fenceContainer } from './fence-container.ts';
import { fenceDeadline } from './fence-deadline.ts';
import { fenceRelease } from './fence-release.ts';
import { fenceUnwrap } from './fence-unwrap.ts';
import { flow } from './flow.ts';
import { gpuFault } from './gpu-fault.ts';
import { irqWork } from './irq-work.ts';
import { lock } from './lock.ts';
import { gfp } from './gfp.ts';
import { memory } from './memory.ts';
import { mempool } from './mempool.ts';
import { mm } from './mm.ts';
import { mmuNotifier } from './mmu-notifier.ts';
import { intervalNotifier } from './interval-notifier.ts';
import { processExit } from './exit.ts';
import { oom } from './oom.ts';
import { oomReaper } from './oom-reaper.ts';
import { userPages } from './user-pages.ts';
import { reclaimObject } from './reclaim.ts';
import { shrinkerObject } from './shrinker.ts';
import { preemptFence } from './preempt-fence.ts';
import { reset } from './reset.ts';
import { resv } from './resv.ts';
import { resvCopy } from './resv-copy.ts';
import { resvFences } from './resv-fences.ts';
import { resvIter } from './resv-iter.ts';
import { resvWait } from './resv-wait.ts';
import { ringObject } from './ring.ts';
import { schedObject } from './sched.ts';
import { schedEntity } from './sched-entity.ts';
import { schedJob } from './sched-job.ts';
import { schedTdr } from './sched-tdr.ts';
import { schedTeardown } from './sched-teardown.ts';
import { schedWork } from './sched-work.ts';
import { scheduler } from './scheduler.ts';
import { swSync } from './sw-sync.ts';
import { sync } from './sync.ts';
import { syncFile } from './sync-file.ts';
import { syncobj } from './syncobj.ts';
import { syncobjEventfd } from './syncobj-eventfd.ts';
import { syncobjFind } from './syncobj-find.ts';
import { syncobjTimeline } from './syncobj-timeline.ts';
import { syncobjTransfer } from './syncobj-transfer.ts';
import { syncobjWait } from './syncobj-wait.ts';
import { timerObject } from './timer.ts';
import { userObject } from './user.ts';
import { userFence } from './user-fence.ts';
import { userQueue } from './user-queue.ts';
import { userRing } from './user-ring.ts';
import { version } from './version.ts';
import { vm } from './vm.ts';
import { pagePool } from './page-pool.ts';
import { ttm } from './ttm.ts';
import { ttmBo } from './ttm-bo.ts';
import { ttmBoMove } from './ttm-bo-move.ts';
import { ttmDevice } from './ttm-device.ts';
import { ttmEvict } from './ttm-evict.ts';
import { ttmHooks } from './ttm-hooks.ts';
import { ttmLru } from './ttm-lru.ts';
import { ttmMove } from './ttm-move.ts';
import { ttmRelease } from './ttm-release.ts';
import { ttmReserve } from './ttm-reserve.ts';
import { ttmResource } from './ttm-resource.ts';
import { ttmShrink } from './ttm-shrink.ts';
import { ttmSpace } from './ttm-space.ts';
import { ttmSwap } from './ttm-swap.ts';
import { ttmTt } from './ttm-tt.ts';
import { workObject } from './work.ts';
import { workqueue } from './workqueue.ts';
import { wwMutex } from './ww-mutex.ts';
import { wwTicket } from './ww-ticket.ts';
import { zone } from './zone.ts';

export const objects: readonly KernelObject[] = [
  adversaryObject,
  buffer,
  bufferMove,
  bufferPages,
  client,
  context,
  dmaBuf,
  dmaBufAttach,
  dmaBufMap,
  dmaBufMove,
  dmaBufAccess,
  display,
  engine,
  eviction,
  fence,
  fenceCallback,
  fenceLock,
  fenceSignal,
  fenceSignalling,
  fenceWait,
  fenceArray,
  fenceChain,
  fenceContainer,
  fenceDeadline,
  fenceRelease,
  fenceUnwrap,
  flow,
  gfp,
  gpuFault,
  irqWork,
  lock,
  memory,
  shrinkerObject,
  reclaimObject,
  mmuNotifier,
  mempool,
  intervalNotifier,
  userPages,
  oom,
  oomReaper,
  processExit,
  mm,
  preemptFence,
  reset,
  resv,
  resvCopy,
  resvFences,
  resvIter,
  resvWait,
  ringObject,
  schedObject,
  schedEntity,
  schedJob,
  schedTdr,
  schedTeardown,
  schedWork,
  scheduler,
  swSync,
  sync,
  syncFile,
  syncobj,
  syncobjEventfd,
  syncobjFind,
  syncobjTimeline,
  syncobjTransfer,
  syncobjWait,
  timerObject,
  userObject,
  userFence,
  userQueue,
  userRing,
  version,
  vm,
  pagePool,
  ttm,
  ttmBo,
  ttmBoMove,
  ttmDevice,
  ttmEvict,
  ttmHooks,
  ttmLru,
  ttmMove,
  ttmRelease,
  ttmReserve,
  ttmResource,
  ttmShrink,
  ttmSpace,
  ttmSwap,
  ttmTt,
  workObject,
  workqueue,
  wwMutex,
  wwTicket,
  zone,
];

export * from './adversary.ts';
export * from './buffer.ts';
export * from './buffer-move.ts';
export * from './buffer-pages.ts';
export * from './client.ts';
export * from './context.ts';
export * from './dma-buf.ts';
export * from './dma-buf-attach.ts';
export * from './dma-buf-map.ts';
export * from './dma-buf-move.ts';
export * from './dma-buf-access.ts';
export * from './display.ts';
export * from './engine.ts';
export * from './eviction.ts';
export * from './fence.ts';
export * from './fence-callback.ts';
export * from './fence-lock.ts';
export * from './fence-signal.ts';
export * from './fence-signalling.ts';
export * from './fence-wait.ts';
export * from './fence-array.ts';
export * from './fence-chain.ts';
export * from './fence-container.ts';
export * from './fence-deadline.ts';
export * from './fence-release.ts';
export * from './fence-unwrap.ts';
export * from './flow.ts';
export * from './gfp.ts';
export * from './interval-notifier.ts';
export * from './gpu-fault.ts';
export * from './irq-work.ts';
export * from './lock.ts';
export * from './memory.ts';
export * from './mempool.ts';
export * from './mm.ts';
export * from './mmu-notifier.ts';
export { oom_reaper } from './oom-reaper.ts';
export * from './reclaim.ts';
export { unregister_shrinker } from './shrinker.ts';
export * from './preempt-fence.ts';
export * from './reset.ts';
export * from './resv.ts';
export * from './resv-copy.ts';
export * from './resv-fences.ts';
export * from './resv-iter.ts';
export * from './resv-wait.ts';
export * from './ring.ts';
export * from './rows.ts';
export * from './sched.ts';
export * from './sched-entity.ts';
export * from './sched-job.ts';
export * from './sched-tdr.ts';
export * from './sched-teardown.ts';
export * from './sched-work.ts';
export * from './scheduler.ts';
export * from './sw-sync.ts';
export * from './sync.ts';
export * from './sync-file.ts';
export * from './syncobj.ts';
export * from './syncobj-eventfd.ts';
export * from './syncobj-find.ts';
export * from './syncobj-timeline.ts';
export * from './syncobj-transfer.ts';
export * from './syncobj-wait.ts';
export * from './timer.ts';
export * from './user.ts';
export { userptr_access, userptr_is_coherent, userptr_map, userptr_unmap } from './user-pages.ts';
export * from './user-fence.ts';
export * from './user-queue.ts';
export * from './user-ring.ts';
export * from './version.ts';
export * from './vm.ts';
export * from './page-pool.ts';
export * from './ttm.ts';
export * from './ttm-bo.ts';
export * from './ttm-bo-move.ts';
export * from './ttm-device.ts';
export * from './ttm-evict.ts';
export * from './ttm-hooks.ts';
export * from './ttm-lru.ts';
export * from './ttm-move.ts';
export * from './ttm-release.ts';
export * from './ttm-reserve.ts';
export * from './ttm-resource.ts';
export * from './ttm-rows.ts';
export * from './ttm-shrink.ts';
export * from './ttm-space.ts';
export * from './ttm-swap.ts';
export * from './ttm-tt.ts';
export * from './work.ts';
export { flush_workqueue } from './workqueue.ts';
export * from './ww-mutex.ts';
export * from './ww-ticket.ts';
export * from './ww-lock.ts';
export * from './zone.ts';
