/**
 * Breadth first: every state of the design's own workload, nearest first. The only strategy that sees fair circles
 * among states, and the only one whose silence, when it got to the end, means something.
 */
import type { SweepStrategy } from './strategy.ts';

export const breadthFirst: SweepStrategy = {
  kind: 'sweep',
  name: 'breadth-first',
  says: "every state of the design's own workload, nearest first, and the fair circles among them",
};
