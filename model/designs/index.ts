/** The designs there are; one file each. A new design is a new file and its name here. */
import type { Design } from '../design.ts';
import { canaryAbba } from './canary-abba.ts';
import { canarySignalForgotten } from './canary-signal-forgotten.ts';
import { notifierWaitsFence } from './notifier-waits-fence.ts';
import { nextSerial } from './next-serial.ts';
import { systemPlacementFenced } from './system-placement-fenced.ts';
import { vgemFence } from './vgem-fence.ts';
import { drmSchedHwFence } from './drm-sched-hw-fence.ts';
import { commitTailResv } from './commit-tail-resv.ts';
import { crossRelease } from './cross-release.ts';
import { userptrMnLock } from './userptr-mn-lock.ts';
import { shrinkerWaitsFence } from './shrinker-waits-fence.ts';
import { evictionFenceInSyncSlots } from './eviction-fence-in-sync-slots.ts';

export const designs: readonly Design[] = [
  canaryAbba,
  canarySignalForgotten,
  notifierWaitsFence,
  nextSerial,
  systemPlacementFenced,
  vgemFence,
  drmSchedHwFence,
  commitTailResv,
  crossRelease,
  userptrMnLock,
  shrinkerWaitsFence,
  evictionFenceInSyncSlots,
];
