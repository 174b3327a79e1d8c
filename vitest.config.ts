import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{model,properties,shrinkers,corpus,reports,cli}/**/*.test.ts'],
    reporters: ['default', './.ci/tally.ts'],
    // No test changes what another one imports; to import all designs anew for each file took a third of the time.
    isolate: false,
    globalSetup: './cli/compiled.ts',
    testTimeout: 30_000,
    maxWorkers: 2,
    tags: [
      { name: 'long', timeout: 900_000 },
      // Of the long ones those that are longer than CI should wait for.
      { name: 'overnight', timeout: 0 },
    ],
  },
});
