/** The service's own types, as its OpenAPI document describes them. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Answer = Schemas["Answer"];
/** What can be said of an answer without its evidence: all that a shared link holds. */
export type Summary = Pick<
  Answer,
  "position" | "radius_50_km" | "radius_90_km" | "within" | "abstention" | "place"
>;
export type Candidate = Schemas["Candidate"];
export type Stage = Schemas["Stage"];
export type Neighbour = Schemas["Neighbour"];
export type TextClue = Schemas["Text"];
export type Share = Schemas["Share"];
export type Cluster = Schemas["Cluster"];
export type Problem = Schemas["Problem"];
export type Measured = Schemas["Measured"];
export type PageSettings = Schemas["PageSettings"];
export type Label = Schemas["Label"];
export type GallerySummary = Schemas["GallerySummary"];
export type GalleryDescription = Schemas["GalleryDescription"];
export type GalleryVersion = Schemas["Version"];
export type Coverage = Schemas["Coverage"];
export type Job = Schemas["JobAnswer"];
export type HeatMap = Schemas["FeatureCollection"];

/** Options of another answer for the same photo, as the service's JSON names them. */
export interface Refinement {
  gallery?: string[];
  generators?: string[];
  country?: string[];
  bbox?: [number, number, number, number];
  polygon?: [number, number][];
}

export interface LatLon {
  lat: number;
  lon: number;
}
