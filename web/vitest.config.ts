import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["tests/unit/**/*.test.ts"], environment: "happy-dom" } },
      {
        test: {
          name: "page",
          include: ["tests/page/**/*.test.ts"],
          globalSetup: "tests/page/service.ts",
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      ...["screenshots", "measure"].map((name) => ({
        test: {
          name,
          include: [`tests/${name}.ts`],
          globalSetup: "tests/page/service.ts",
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      })),
    ],
  },
});
