/** How the page of a finding is built: everything in one script and one style sheet, which every page carries within itself. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: at('reports/html/page'),
  logLevel: 'warn',
  // A library is built so that whoever uses it may still decide; nobody uses this one.
  define: { 'process.env.NODE_ENV': '"production"' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: at('dist/reports/html/page'),
    emptyOutDir: true,
    target: 'es2023',
    license: { fileName: 'licenses.md' },
    lib: {
      entry: at('reports/html/page/main.tsx'),
      formats: ['iife'],
      name: 'fenceproof',
      fileName: () => 'page.js',
      cssFileName: 'page',
    },
  },
});
