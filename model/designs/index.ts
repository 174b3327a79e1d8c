/** The designs there are; one file each. A new design is a new file and its name here. */
import type { Design } from '../design.ts';
import { asyncUnbind } from './async-unbind.ts';
import { atomicCancel } from './atomic-cancel.ts';
import { canaryAbba } from './canary-abba.ts';
import { canarySignalForgotten } from './canary-signal-forgotten.ts';
import { commitTailResv } from './commit-tail-resv.ts';
import { crossRelease } from './cross-release.ts';
import { dmaBufDynamicImporter } from './dma-buf-dynamic-importer.ts';
import { dmaBufStaticImporter } from './dma-buf-static-importer.ts';
import { directSubmit } from './direct-submit.ts';
import { doorbellScheduler } from './doorbell-scheduler.ts';
import { drmSchedHwFence } from './drm-sched-hw-fence.ts';
import { evictWithTicket } from './evict-with-ticket.ts';
import { dynamicDmaBufUserptr } from './dynamic-dma-buf-userptr.ts';
import { evictionFence } from './eviction-fence.ts';
import { evictionFenceInSyncSlots } from './eviction-fence-in-sync-slots.ts';
import { gpuFutex } from './gpu-futex.ts';
import { limboToVram } from './limbo-to-vram.ts';
import { faultInBatch } from './fault-in-batch.ts';
import { futureFence } from './future-fence.ts';
import { faultAndFenceGroups } from './fault-and-fence-groups.ts';
import { foreignFenceUnwind } from './foreign-fence-unwind.ts';
import { longRunningWithFence } from './long-running-with-fence.ts';
import { mempoolHeldByUsers } from './mempool-held-by-users.ts';
import { metaBufferRestart } from './meta-buffer-restart.ts';
import { moveKnowsThreeStates } from './move-knows-three-states.ts';
import { nextSerial } from './next-serial.ts';
import { notifierWaitsFence } from './notifier-waits-fence.ts';
import { resetAndModeset } from './reset-and-modeset.ts';
import { resetBigLock } from './reset-big-lock.ts';
import { resetReallocates } from './reset-reallocates.ts';
import { resourceNull } from './resource-null.ts';
import { preemptFence } from './preempt-fence.ts';
import { proxyFence } from './proxy-fence.ts';
import { pinEverythingDriver } from './pin-everything-driver.ts';
import { pinnedWorkingSet } from './pinned-working-set.ts';
import { restoreWorker } from './restore-worker.ts';
import { splitSwapPlacement } from './split-swap-placement.ts';
import { revoke } from './revoke.ts';
import { shrinkerWaitsFence } from './shrinker-waits-fence.ts';
import { submitIoctlFence } from './submit-ioctl-fence.ts';
import { swapNotifyLateError } from './swap-notify-late-error.ts';
import { swapoutUnderPressure } from './swapout-under-pressure.ts';
import { swSyncDebugfs } from './sw-sync-debugfs.ts';
import { systemPlacementFenced } from './system-placement-fenced.ts';
import { timeoutAndCollect } from './timeout-and-collect.ts';
import { transitionBoundaryFence } from './transition-boundary-fence.ts';
import { unloadWithBuffers } from './unload-with-buffers.ts';
import { userFenceKeptApart } from './user-fence-kept-apart.ts';
import { userQueueEviction } from './user-queue-eviction.ts';
import { userptrMnLock } from './userptr-mn-lock.ts';
import { userptrRetry } from './userptr-retry.ts';
import { vmBindLockOrder } from './vm-bind-lock-order.ts';
import { vgemFence } from './vgem-fence.ts';

/** In the order of the mails: the canaries, then 2020, 2021, 2021, 2019, 2016; and the contract's own catalogue. */
export const designs: readonly Design[] = [
  canaryAbba,
  canarySignalForgotten,
  drmSchedHwFence,
  mempoolHeldByUsers,
  pinEverythingDriver,
  commitTailResv,
  metaBufferRestart,
  resetAndModeset,
  resetBigLock,
  resetReallocates,
  faultInBatch,
  submitIoctlFence,
  nextSerial,
  timeoutAndCollect,
  userFenceKeptApart,
  transitionBoundaryFence,
  directSubmit,
  doorbellScheduler,
  userQueueEviction,
  systemPlacementFenced,
  limboToVram,
  moveKnowsThreeStates,
  asyncUnbind,
  swapNotifyLateError,
  resourceNull,
  splitSwapPlacement,
  evictWithTicket,
  unloadWithBuffers,
  swapoutUnderPressure,
  notifierWaitsFence,
  userptrMnLock,
  userptrRetry,
  shrinkerWaitsFence,
  evictionFence,
  evictionFenceInSyncSlots,
  restoreWorker,
  pinnedWorkingSet,
  dynamicDmaBufUserptr,
  crossRelease,
  vgemFence,
  swSyncDebugfs,
  atomicCancel,
  foreignFenceUnwind,
  futureFence,
  proxyFence,
  gpuFutex,
  vmBindLockOrder,
  longRunningWithFence,
  faultAndFenceGroups,
  dmaBufStaticImporter,
  dmaBufDynamicImporter,
  preemptFence,
  revoke,
];
