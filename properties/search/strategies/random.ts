/** Random walk: any thread that can move, each as likely; how rough the weather is, is drawn once a run. */
import type { WalkStrategy } from './strategy.ts';
import { moving, nthMoving, weather } from './strategy.ts';

export const randomWalk: WalkStrategy = {
  kind: 'walk',
  name: 'random',
  says: 'any thread that can move, each as likely; faults as often as the weather of the run says',
  begin(random, _threads, _steps, lore) {
    const rough = lore?.rough ?? ([0.1, 0.5, 0.9][random.below(3)] as number);
    return {
      pick(ways) {
        return weather(random, ways, nthMoving(ways, random.below(moving(ways))), rough);
      },
    };
  },
};
