/**
 * Tame knobs: each knob at its tamest value with which the verdict stays.
 *
 * What is left wild is what the bug is about. The driver lets this through only when the knobs are asked to be tamed:
 * a finding of a setting must otherwise stay a finding of that setting.
 */
import type { Pass } from './pass.ts';

export const tameKnobs: Pass = {
  name: 'tame-knobs',
  says: 'sets a knob to a tamer value, tamest first',
  *proposals(bench) {
    const { design, knobs } = bench.booted;
    for (const [knob, value] of Object.entries(knobs)) {
      const values = design.knobs[knob] ?? [];
      for (const tamer of values.slice(0, values.indexOf(value)))
        if (yield { ...bench.now, knobs: { ...bench.booted.knobs, [knob]: tamer } }) break;
    }
  },
};
