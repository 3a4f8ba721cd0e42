# From the model card of facebook/sam-vit-base (Apache-2.0).
# Changed: the import, the model by its name, and device="cpu" for machines without a GPU.
from samari.sam import pipeline

generator = pipeline("mask-generation", model="facebook/sam-vit-huge", device="cpu", points_per_batch=256)
image_url = "https://huggingface.co/ybelkada/segment-anything/resolve/main/assets/car.png"
outputs = generator(image_url, points_per_batch=256)
