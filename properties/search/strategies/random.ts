/** Random walk: any thread that can move, each as likely; how rough the weather is, is drawn once a run. */
import type { WalkStrategy } from './strategy.ts';
import { weather } from './strategy.ts';

export const randomWalk: WalkStrategy = {
  kind: 'walk',
  name: 'random',
  says: 'any thread that can move, each as likely; faults as often as the weather of the run says',
  begin(random) {
    const rough = [0.1, 0.5, 0.9][random.below(3)] as number;
    return {
      pick(ways) {
        const threads: number[] = [];
        for (const { threadAt } of ways) if (threads.at(-1) !== threadAt) threads.push(threadAt);
        return weather(random, ways, threads[random.below(threads.length)] as number, rough);
      },
    };
  },
};
