import type { Summary } from "../../src/api/types";

/** What can be said of an answer in Paris. */
export function aSummary(): Summary {
  return {
    position: { lat: 48.8583, lon: 2.2945 },
    radius_50_km: 2.5,
    radius_90_km: 40,
    within: { 1: 0.1, 25: 0.6, 200: 0.9, 750: 0.95, 2500: 0.99 },
    abstention: null,
    place: {
      country: "FR",
      country_name: "France",
      region: "Île-de-France",
      region_approximate: false,
      city: "Paris",
      city_km: 4,
    },
  };
}
