/** The designs there are; one file each. A new design is a new file and its name here. */
import type { Design } from '../design.ts';
import { canaryAbba } from './canary-abba.ts';
import { canarySignalForgotten } from './canary-signal-forgotten.ts';
import { notifierWaitsFence } from './notifier-waits-fence.ts';

export const designs: readonly Design[] = [canaryAbba, canarySignalForgotten, notifierWaitsFence];
